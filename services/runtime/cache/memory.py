"""The most recent values in this process's memory."""

from collections.abc import Mapping, Sequence

from services.runtime.cache.base import Cache
from services.runtime.cache.stats import TierStats
from services.runtime.lru import Lru

# What Python needs beside key and value: three objects, a node of the order, a slot of the table.
ENTRY_BYTES = 320


class MemoryCache(Cache):
    """Keeps what was used last.

    Args:
        max_bytes: of keys, values and what holds them; a larger value is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._values: Lru[str, bytes] = Lru(max_bytes)
        self._stats = TierStats("memory")

    @property
    def stats(self) -> tuple[TierStats, ...]:
        """One."""
        return (self._stats,)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key; does not wait."""
        found = list(map(self._values.get, keys))
        hits = len(found) - found.count(None)
        self._stats.hits += hits
        self._stats.misses += len(found) - hits
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keeps values; the ones used longest ago make room."""
        for key, value in entries.items():
            if self._values.put(key, value, len(key) + len(value) + ENTRY_BYTES):
                self._stats.stored += 1
            else:
                self._stats.dropped += 1
        self._stats.entries, self._stats.bytes = len(self._values), self._values.bytes
        self._stats.evictions = self._values.evictions
