"""Standard input of which nobody said what it is."""

from collections.abc import Iterator, Mapping

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
        self._inner: JsonlSource | TextSource | None = None

    def left_out(self) -> Mapping[str, int]:
        """Blank lines."""
        return self._inner.left_out() if self._inner else {}

    def __iter__(self) -> Iterator[Record | BadRecord]:
        head, lines = peeked(iter(self._lines), 1)
        if not head:
            # empty, or raises why there is nothing
            next(lines, None)
            return
        is_json = head[0].text.lstrip().startswith("{")
        self._inner = (JsonlSource if is_json else TextSource)(self._lines, self._columns)
        yield from self._inner.records(lines)
