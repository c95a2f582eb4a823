"""JSON lines: an object a line."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns, Layout
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.text import BLANK_LINES
from latentspace_text import Line

# what the first objects have counts as the columns that there are
HEAD_LINES = 100

Row = dict[str, object]


class JsonlSource(Source):
    """The objects of a file; rows are numbered by their lines, blank ones are passed over."""

    def __init__(self, lines: Lines, columns: Columns) -> None:
        self.name = lines.name
        self._lines = lines
        self._columns = columns
        self._blank = 0

    def left_out(self) -> Mapping[str, int]:
        """Blank lines."""
        return +Counter({BLANK_LINES: self._blank})

    def __iter__(self) -> Iterator[Record | BadRecord]:
        return self.records(iter(self._lines))

    def records(self, lines: Iterator[Line]) -> Iterator[Record | BadRecord]:
        """Those of lines that were opened already."""
        self._blank = 0
        head, lines = peeked(lines, HEAD_LINES)
        layout: Layout | None = None
        for line in lines:
            if line.is_blank:
                self._blank += 1
                continue
            place = f"{self._lines.short}:{line.number}"
            try:
                row = _object(line)
            except RecordError as error:
                yield BadRecord(place, error.reason, str(error))
                continue
            if layout is None:
                names = _names(head) | row.keys()
                layout = self._columns.layout(names, self.name, self._lines.folder)
            yield layout.record(row, line.number, place)


def _names(head: list[Line]) -> set[str]:
    names: set[str] = set()
    for line in head:
        try:
            names |= _object(line).keys()
        except RecordError:
            continue
    return names


def _object(line: Line) -> Row:
    if line.fault:
        raise RecordError(Reason.UNREADABLE, f"the line {line.fault}")
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise RecordError(Reason.UNREADABLE, f"not JSON: {error}") from None
    if not isinstance(value, dict):
        message = f"expected an object, got {type(value).__name__}"
        raise RecordError(Reason.UNREADABLE, message)
    return value
