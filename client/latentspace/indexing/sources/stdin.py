"""Standard input of which nobody said what it is."""

from collections.abc import Iterator

from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.jsonl import JsonlSource
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.text import TextSource


class StdinSource(Source):
    """JSON lines where the first line begins with {, else lines of text; can be read once."""

    def __init__(self, lines: Lines, columns: Columns) -> None:
        self.name = lines.name
        self._lines = lines
        self._columns = columns

    def __iter__(self) -> Iterator[Record | BadRecord]:
        head, lines = peeked(iter(self._lines), 1)
        if not head:
            # empty, or raises why there is nothing
            next(lines, None)
        elif head[0].lstrip().startswith("{"):
            yield from JsonlSource(self._lines, self._columns).records(lines)
        else:
            yield from TextSource(self._lines, self._columns).records(lines)
