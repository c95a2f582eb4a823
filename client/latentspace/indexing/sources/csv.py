"""CSV and its kin: a header, then a row a record."""

import csv
from collections import Counter
from collections.abc import Iterator

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns, Layout
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.reasons import Reason

DELIMITERS = (",", ";", "\t", "|")
HEAD_LINES = 20

# the number of the first line, and the fields or what is wrong with them
Row = tuple[int, list[str] | csv.Error]


class CsvSource(Source):
    """The rows of a file with a header; all cells are text, but those with types.

    Rows are numbered from 1 after the header, bad ones too, blank lines not.

    Args:
        delimiter: of the fields; "" finds it: the one of , ; tab | that gives most of the first
            lines as many fields as the header.
        quotes: whether fields may stand between double quotes; without, these are letters.
    """

    def __init__(
        self, lines: Lines, columns: Columns, delimiter: str = "", quotes: bool = True
    ) -> None:
        """Reads nothing yet.

        Raises:
            SourceError: not a delimiter.
        """
        if len(delimiter) > 1 or delimiter in ('"', "\r", "\n"):
            raise SourceError(f"{lines.name}: the delimiter {delimiter!r} is not one letter or tab")
        self.name = lines.name
        self._lines = lines
        self._columns = columns
        self._delimiter = delimiter
        self._quotes = quotes

    def __iter__(self) -> Iterator[Record | BadRecord]:
        head, lines = peeked(iter(self._lines), HEAD_LINES)
        rows = self._rows(lines, self._delimiter or delimiter_of(head))
        names = self._header(rows)
        layout = self._columns.layout(names, self.name, self._lines.folder)
        for number, (line, row) in enumerate(rows, 1):
            yield self._record(layout, names, row, number, f"{self._lines.short}:{line}")

    def _header(self, rows: Iterator[Row]) -> list[str]:
        _, names = next(rows, (0, csv.Error("there is none")))
        if isinstance(names, csv.Error):
            raise SourceError(f"{self.name}: a header is needed: {names}")
        twice = [name for name, times in Counter(names).items() if name and times > 1]
        if twice:
            raise SourceError(f"{self.name}: the header names {twice[0]!r} more than once")
        return names

    @staticmethod
    def _record(
        layout: Layout, names: list[str], row: list[str] | csv.Error, number: int, place: str
    ) -> Record | BadRecord:
        if isinstance(row, csv.Error):
            return BadRecord(place, Reason.UNREADABLE, f"not a row of CSV: {row}")
        if len(row) != len(names):
            message = f"the row has {len(row)} fields, the header {len(names)}"
            return BadRecord(place, Reason.UNREADABLE, message)
        return layout.record(dict(zip(names, row, strict=True)), number, place)

    def _rows(self, lines: Iterator[str], delimiter: str) -> Iterator[Row]:
        """Rows that are not blank.

        Raises:
            SourceError: the end comes between quotes, or what `Lines` raises.
        """
        ended = False

        def watched() -> Iterator[str]:
            nonlocal ended
            yield from lines
            ended = True

        reader = csv.reader(
            watched(),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if self._quotes else csv.QUOTE_NONE,
            strict=True,
        )
        while True:
            line = reader.line_num + 1
            row: list[str] | csv.Error
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if ended:
                    message = "cut off, or a quote is not closed"
                    raise SourceError(f"{self.name}: line {line}: {message} ({error})") from error
                row = csv.Error(f"lines {line} to {reader.line_num}: {error}")
            if row:
                yield line, row


def delimiter_of(head: list[str]) -> str:
    """The delimiter that fits the first lines best; a comma where none stands in the header."""

    def fit(delimiter: str) -> tuple[float, int]:
        rows = [row for row in csv.reader(head, delimiter=delimiter) if row]
        width = len(rows[0]) if rows else 1
        alike = sum(len(row) == width for row in rows)
        return (alike / len(rows), width) if width > 1 else (0.0, 0)

    try:
        return max(DELIMITERS, key=fit)
    except csv.Error:
        return DELIMITERS[0]
