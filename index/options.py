"""How the FAISS engine works, apart from what users decide about a collection."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

#: names of devices
DEVICE_PATTERN = r"cpu|cuda:\d+"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Sizes and limits.

    Args:
        threads: cores for searches and builds together.
        seal_rows: a growing segment of so many rows is sealed. Until then each search compares
            with all of them: 2.3 ms for 32,768 rows of 384 numbers, 16 ms for twice as many,
            which no longer fit the cache.
        seal_bytes: so is one whose vectors take so many bytes.
        merge_factor: so many segments of like size become one.
        max_segment_rows: merging makes none larger, `optimize(full=True)` apart.
        dead_share: a segment with a larger share of dead rows is written anew.
        retry_seconds: pause after background work failed (disk full, for instance).
        memory_bytes: what the recipe `auto` may take for the index of a collection; 0: no limit.
        device: "cpu", or "cuda:0" and so on: sealed segments live there where their recipe can
            (`index.gpu.copies`); the CPU where there is no such GPU or FAISS is built without.
        spare_cores: asked at each search how many of `threads` it may take; None: all.
    """

    threads: int = os.cpu_count() or 1
    seal_rows: int = 32_768
    seal_bytes: int = 64 << 20
    merge_factor: int = 8
    max_segment_rows: int = 4_000_000
    dead_share: float = 0.2
    retry_seconds: float = 5.0
    memory_bytes: int = 0
    device: str = "cpu"
    spare_cores: Callable[[], int] | None = None

    def with_threads(self, threads: int) -> "EngineOptions":
        """The same with so many cores; 0 changes nothing."""
        return replace(self, threads=threads) if threads else self

    def is_full(self, rows: int, dim: int) -> bool:
        """Whether a growing segment is large enough to be sealed."""
        return rows >= self.seal_rows or rows * dim * 4 >= self.seal_bytes

    @property
    def search_threads(self) -> int:
        """Cores for a search that begins now."""
        return self.threads if self.spare_cores is None else self.spare_cores()

    @property
    def build_threads(self) -> int:
        """Cores for a build: one is left to searches."""
        return max(1, self.threads - 1)
