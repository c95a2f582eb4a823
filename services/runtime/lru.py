"""Values in memory, up to so many bytes: what was used longest ago makes room."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Values by key, the most recently used last; for one event loop, or one lock."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        #: held now
        self.bytes = 0
        #: taken out to make room, since the start
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value; None where there is none."""
        if (entry := self._entries.get(key)) is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, size: int) -> bool:
        """Keeps a value; one larger than all room is not kept."""
        if size > self._max_bytes:
            return False
        self.pop(key)
        self._entries[key] = value, size
        self.bytes += size
        while self.bytes > self._max_bytes:
            self.pop(next(iter(self._entries)))
            self.evictions += 1
        return True

    def pop(self, key: K) -> None:
        """Forgets a value."""
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes -= entry[1]
