"""The walks that skip-gram learns from."""

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.blocks import Percent, run_blocks
from embedders.node2vec.walker import Walker
from embedders.training import Progress

KEEP_BYTES = 1 << 30


class WalkCorpus:
    """All walks of a walker, walked once to count visits.

    Kept where they fit into `keep_bytes`; else a block is walked again whenever it is asked for,
    which gives the same walks.
    """

    def __init__(
        self, walker: Walker, threads: int, progress: Progress, keep_bytes: int = KEEP_BYTES
    ) -> None:
        self.walker = walker
        self.visits = np.zeros(walker.nodes, np.int64)
        keep = 4 * walker.total * walker.plan.length <= keep_bytes
        self._kept: dict[int, NDArray[np.int32]] = {}
        parts: dict[int, NDArray[np.int64]] = {}

        def walk(number: int) -> None:
            block = walker.block(number)
            parts[number] = np.bincount(block[block >= 0], minlength=walker.nodes)
            if keep:
                self._kept[number] = block

        percent = Percent(progress, "walk", len(walker))

        def told(done: int) -> None:
            while parts:
                self.visits += parts.popitem()[1]
            percent(done)

        run_blocks(walk, len(walker), threads, told)

    def __len__(self) -> int:
        """Blocks."""
        return len(self.walker)

    def block(self, number: int) -> NDArray[np.int32]:
        """The walks of a block, int32 (walks, length); -1 after the end of a short one."""
        kept = self._kept.get(number)
        return self.walker.block(number) if kept is None else kept
