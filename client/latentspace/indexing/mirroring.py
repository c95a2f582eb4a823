"""Points that a source does not have any more."""

from array import array
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.tally import Tally
from latentspace.sync.client import Client

DELETE_ITEMS = 512


class SourceIds:
    """All ids of a source, in eight bytes each; hashes stand for them."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        #: records whose id could not be read
        self.nameless = 0

    def add(self, item: Record | BadRecord) -> None:
        """One more, good or bad."""
        if item.id:
            self._hashes.append(_hash(item.id))
        else:
            self.nameless += 1

    def extend(self, others: "SourceIds") -> None:
        """Those of another part of the source."""
        self._hashes.extend(others._hashes)
        self.nameless += others.nameless

    def missing(self, ids: Iterable[str]) -> Iterable[str]:
        """Those of `ids` that are not among them."""
        known = np.unique(np.frombuffer(self._hashes, np.uint64))
        return (one for one in ids if not _among(_hash(one), known))


def delete_missing(
    client: Client, collection: str, source: str, ids: SourceIds, tally: Tally
) -> None:
    """Deletes the points that the source does not have.

    Args:
        source: its name.

    Raises:
        SourceError: some record has no id, so its point cannot be told.
    """
    if ids.nameless:
        raise SourceError(
            f"{ids.nameless} records of {source} have no id that could be read,"
            " so nothing was deleted: their points cannot be told from those that are gone"
        )
    stored = (point.id for point in client.scroll(collection, with_payload=False))
    gone: list[str] = []

    def delete() -> None:
        if gone:
            tally.add(deleted=client.delete(collection, gone))
            gone.clear()

    for one in ids.missing(stored):
        gone.append(one)
        if len(gone) == DELETE_ITEMS:
            delete()
    delete()


def _hash(point_id: str) -> int:
    return int.from_bytes(
        blake2b(point_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    )


def _among(value: int, ordered: NDArray[np.uint64]) -> bool:
    place = int(np.searchsorted(ordered, np.uint64(value)))
    return place < len(ordered) and int(ordered[place]) == value
