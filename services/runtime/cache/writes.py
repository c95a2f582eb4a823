"""Values that wait to be written: nobody waits for them, so their line is bounded."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.runtime.cache.stats import TierStats

# One pipeline: small enough that building it does not hold the event loop up.
MAX_ENTRIES = 64
MAX_BYTES = 1 << 20

Entry = tuple[str, bytes]


class Writes:
    """A bounded line and one writer.

    Args:
        write: writes entries and tells how many were; does not raise.
        max_bytes: of values that wait; newer ones are dropped.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Entry]], Awaitable[int]],
        max_bytes: int,
        stats: TierStats,
    ) -> None:
        self._write, self._max_bytes, self._stats = write, max_bytes, stats
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Into the line, as far as there is room."""
        for key, value in entries.items():
            if self._bytes + len(value) > self._max_bytes:
                self._stats.dropped += 1
                continue
            self._waiting.append((key, value))
            self._bytes += len(value)
        if self._waiting and (self._writer is None or self._writer.done()):
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self) -> None:
        """Gives up what waits."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _write_all(self) -> None:
        while self._waiting:
            batch = self._take()
            written = await self._write(batch)
            self._stats.stored += written
            self._stats.dropped += len(batch) - written

    def _take(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        while self._waiting and len(batch) < MAX_ENTRIES and size < MAX_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][1])
        self._bytes -= size
        return batch
