"""The contract of a cache: bytes by key. It fails no call, and keeps none waiting long."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from services.runtime.cache.stats import TierStats


class Cache(ABC):
    """Values by key. All calls are made in one event loop."""

    @property
    @abstractmethod
    def stats(self) -> tuple[TierStats, ...]:
        """Counters of each store, in the order asked."""

    @abstractmethod
    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, None where there is none or the store does not answer."""

    @abstractmethod
    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keeps values; returns at once. What finds no room, or no place in line, is dropped."""

    async def start(self) -> None:
        """Looks whether the store answers; one that does not is told and left alone."""
        return  # memory is always there

    async def close(self) -> None:
        """Gives up what still waits to be written."""
        return  # memory ends with its owner
