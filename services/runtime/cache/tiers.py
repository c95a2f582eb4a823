"""One store before another: memory before Redis."""

from collections.abc import Mapping, Sequence

from services.runtime.cache.base import Cache
from services.runtime.cache.stats import TierStats


class TieredCache(Cache):
    """Asks store after store, and keeps what a later one knew in those before it."""

    def __init__(self, tiers: Sequence[Cache]) -> None:
        self._tiers = tuple(tiers)

    @property
    def stats(self) -> tuple[TierStats, ...]:
        """Of each store, in the order asked."""
        return tuple(stats for tier in self._tiers for stats in tier.stats)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key from the first store that has it."""
        found: dict[str, bytes] = {}
        for number, tier in enumerate(self._tiers):
            missing = [key for key in keys if key not in found]
            if not missing:
                break
            values = zip(missing, await tier.get(missing), strict=True)
            known = {key: value for key, value in values if value is not None}
            for earlier in self._tiers[:number]:
                earlier.put(known)
            found |= known
        return [found.get(key) for key in keys]

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keeps values in every store."""
        for tier in self._tiers:
            tier.put(entries)

    async def start(self) -> None:
        """Starts every store."""
        for tier in self._tiers:
            await tier.start()

    async def close(self) -> None:
        """Closes every store."""
        for tier in self._tiers:
            await tier.close()
