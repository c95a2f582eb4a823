"""Results of searches, kept until something is written to their collection."""

from collections.abc import Hashable
from hashlib import blake2b
from itertools import count
from weakref import WeakKeyDictionary

from embedders.vectors import FloatRows
from index.base import Collection
from index.types import Hits
from services.runtime.cache.stats import TierStats
from services.runtime.lru import Lru

CONTENT_BYTES = 16
# what Python needs for the objects of an entry, and of a hit beside its id
ENTRY_BYTES, HIT_BYTES = 1000, 100


class SearchResults:
    """Hits by collection, its version, and all of a search.

    What is kept under a version was found in that version or, where a write came meanwhile, in a
    newer one: nobody is told what was true before a write that they know of.

    Args:
        max_bytes: of all hits, estimated; what was asked for longest ago makes room.
    """

    def __init__(self, max_bytes: int) -> None:
        self._hits: Lru[Hashable, Hits] = Lru(max_bytes)
        self._serials: WeakKeyDictionary[Collection, int] = WeakKeyDictionary()
        self._serial = count()
        self.stats = TierStats("searches")

    def key(self, collection: Collection, likeness: Hashable, queries: FloatRows) -> Hashable:
        """Of a search, before it is made: another collection of the same name has other keys."""
        serial = self._serials.get(collection)
        if serial is None:
            serial = self._serials[collection] = next(self._serial)
        content = blake2b(queries.tobytes(), digest_size=CONTENT_BYTES).digest()
        return serial, collection.version, collection.spec.search, likeness, content

    def get(self, key: Hashable) -> Hits | None:
        """What was found before; None where nothing was."""
        found = self._hits.get(key)
        if found is None:
            self.stats.misses += 1
        else:
            self.stats.hits += 1
        return found

    def put(self, key: Hashable, hits: Hits) -> None:
        """Keeps what was found."""
        if self._hits.put(key, hits, size_of(hits)):
            self.stats.stored += 1
        else:
            self.stats.dropped += 1
        self.stats.entries, self.stats.bytes = len(self._hits), self._hits.bytes
        self.stats.evictions = self._hits.evictions


def size_of(hits: Hits) -> int:
    """Bytes that hits hold, about."""
    points = hits.points
    size = ENTRY_BYTES + hits.scores.nbytes + hits.counts.nbytes
    size += sum(map(len, points.ids)) + HIT_BYTES * len(points.ids)
    size += sum(map(len, points.payloads or ()))
    return size + (0 if points.vectors is None else points.vectors.nbytes)
