"""The most recent values in this process's memory."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from services.runtime.cache.base import Cache
from services.runtime.cache.stats import TierStats

# What Python needs beside key and value: two objects, a node of the order, a slot of the table.
ENTRY_BYTES = 250


class MemoryCache(Cache):
    """Keeps what was used last.

    Args:
        max_bytes: of keys, values and what holds them; a larger value is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._stats = TierStats("memory")

    @property
    def stats(self) -> tuple[TierStats, ...]:
        """One."""
        return (self._stats,)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key; does not wait."""
        found = [self._values.get(key) for key in keys]
        for key, value in zip(keys, found, strict=True):
            if value is not None:
                self._values.move_to_end(key)
        hits = len(found) - found.count(None)
        self._stats.hits += hits
        self._stats.misses += len(found) - hits
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keeps values; the ones used longest ago make room."""
        for key, value in entries.items():
            size = _size(key, value)
            if size > self._max_bytes:
                self._stats.dropped += 1
                continue
            self._forget(key)
            self._values[key] = value
            self._stats.bytes += size
            self._stats.stored += 1
        while self._stats.bytes > self._max_bytes:
            self._forget(next(iter(self._values)))
            self._stats.evictions += 1
        self._stats.entries = len(self._values)

    def _forget(self, key: str) -> None:
        if (value := self._values.pop(key, None)) is not None:
            self._stats.bytes -= _size(key, value)


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
