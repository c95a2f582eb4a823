"""Work in blocks, in threads, so that progress is told and may cancel it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from embedders.training import Progress


def run_blocks(
    work: Callable[[int], None], count: int, threads: int, told: Callable[[int], None]
) -> None:
    """Calls `work` with 0 to count - 1, in order where there is one thread.

    `told` hears how many are done; what it raises ends the work within a block.
    """
    if threads == 1:
        for number in range(count):
            work(number)
            told(number + 1)
        return
    pending: deque[Future[None]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for number in range(count):
                pending.append(pool.submit(work, number))
                if len(pending) == 4 * threads:
                    pending.popleft().result()
                    told(number + 1 - len(pending))
            while pending:
                pending.popleft().result()
                told(count - len(pending))
        finally:
            for future in pending:
                future.cancel()


class Percent:
    """Tells a stage's progress, at most once a hundredth."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self.progress, self.stage, self.total = progress, stage, total
        self._last = 0
        progress(stage, 0, total)

    def __call__(self, done: int) -> None:
        """So much is done of the total."""
        if done * 100 // self.total != self._last:
            self._last = done * 100 // self.total
            self.progress(self.stage, done, self.total)
