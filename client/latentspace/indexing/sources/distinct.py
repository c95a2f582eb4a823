"""Repeated ids of a source."""

from collections.abc import Iterator, Mapping

from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.reasons import Reason


class Seen:
    """Which ids came already, in about 65 bytes each, however long they are.

    Hashes of 60 bits stand for ids: of a million, two share one with a chance of 4e-7.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, id: str) -> bool:
        """Whether it came before."""
        # integers of up to 60 bits take 32 bytes, larger ones 48
        mark = hash(id) >> 4
        if mark in self._hashes:
            return True
        self._hashes.add(mark)
        return False


class Distinct(Source):
    """A source without repeated ids: the second and later are bad records."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source

    def count(self) -> int | None:
        """Items of the source, repeated ones too."""
        return self._source.count()

    def left_out(self) -> Mapping[str, int]:
        """What the source passed over."""
        return self._source.left_out()

    def __iter__(self) -> Iterator[Record | BadRecord]:
        seen = Seen()
        for item in self._source:
            if isinstance(item, Record) and seen.add(item.id):
                message = f"the id {item.id!r:.80} came before in this source; the first is kept"
                yield BadRecord(item.place, Reason.REPEATED_ID, message, item.id)
            else:
                yield item
