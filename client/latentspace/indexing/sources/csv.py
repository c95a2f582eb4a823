"""CSV and its kin: a header, then a row a record."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns, Layout
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.reasons import Reason
from latentspace.indexing.sources.text import BLANK_LINES
from latentspace_text import Line
from latentspace_text.cells import CellFormat, Row, UnclosedQuoteError, read_rows

DELIMITERS = (",", ";", "\t", "|")
HEAD_LINES = 20


class CsvSource(Source):
    """The rows of a file with a header; all cells are text, but those with types.

    Rows are numbered from 1 after the header, bad ones too, blank lines not. A row that cannot be
    read fails alone; where it cannot be known where it ends, the source ends there.

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
        self._blank = 0

    def left_out(self) -> Mapping[str, int]:
        """Blank lines."""
        return +Counter({BLANK_LINES: self._blank})

    def __iter__(self) -> Iterator[Record | BadRecord]:
        self._blank = 0
        head, lines = peeked(iter(self._lines), HEAD_LINES)
        delimiter = self._delimiter or delimiter_of(head, self._quotes)
        form = CellFormat(delimiter, self._quotes, _is_spaced(head, delimiter))
        rows = self._rows(lines, form)
        names = self._header(rows)
        layout = self._columns.layout(names, self.name, self._lines.folder, cells=True)
        try:
            is_after_fault = False
            for number, row in enumerate(rows, 1):
                fault = _fault(row, names, is_after_fault)
                is_after_fault = bool(fault)
                yield self._record(layout, names, row, number, fault)
                if not row.is_one and not layout.id:
                    raise SourceError(
                        f"{self.name}: line {row.line}: how many rows are damaged cannot be known, "
                        "so rows behind it have no sure number, which would be their id; mend the "
                        "line, or name a column of ids"
                    )
        except UnclosedQuoteError as error:
            yield BadRecord(f"{self._lines.short}:{error.row}", Reason.UNREADABLE, str(error))
            raise SourceError(f"{self.name}: {error}") from error

    def _header(self, rows: Iterator[Row]) -> list[str]:
        try:
            header = next(rows, None)
        except UnclosedQuoteError as error:
            raise SourceError(f"{self.name}: a header is needed: {error}") from error
        if header is None or header.fault:
            fault = header.fault if header else "there is none"
            raise SourceError(f"{self.name}: a header is needed: {fault}")
        twice = [name for name, times in Counter(header.cells).items() if name and times > 1]
        if twice:
            raise SourceError(f"{self.name}: the header names {twice[0]!r} more than once")
        return header.cells

    def _record(
        self, layout: Layout, names: list[str], row: Row, number: int, fault: str
    ) -> Record | BadRecord:
        place = f"{self._lines.short}:{row.line}"
        if fault:
            point_id = "" if layout.id else str(number)
            return BadRecord(place, Reason.UNREADABLE, fault, point_id)
        return layout.record(dict(zip(names, row.cells, strict=True)), number, place)

    def _rows(self, lines: Iterator[Line], form: CellFormat) -> Iterator[Row]:
        """Rows that are not blank."""
        for row in read_rows(lines, form):
            if row.cells or row.fault:
                yield row
            else:
                self._blank += 1


def _fault(row: Row, names: list[str], is_after_fault: bool) -> str:
    """What is wrong with a row; "" where nothing is."""
    if row.fault:
        behind = f", lines {row.line} to {row.last}" if row.last > row.line else ""
        return f"not a row of CSV{behind}: {row.fault}"
    if len(row.cells) != len(names):
        return f"the row has {len(row.cells)} fields, the header {len(names)}"
    if is_after_fault and row.has_letter_quotes:
        return (
            "the row before is damaged, and a quote within a cell of this one may be the end of "
            "a cell from there"
        )
    return ""


def delimiter_of(head: list[Line], quotes: bool = True) -> str:
    """The delimiter that fits the first lines best; a comma where none stands in the header."""

    def fit(delimiter: str) -> tuple[float, int]:
        rows = _sound_rows(head, CellFormat(delimiter, quotes))
        width = len(rows[0].cells) if rows else 1
        alike = sum(len(row.cells) == width for row in rows)
        return (alike / len(rows), width) if width > 1 else (0.0, 0)

    return max(DELIMITERS, key=fit)


def _is_spaced(head: list[Line], delimiter: str) -> bool:
    """Whether a space stands before each name of the header but the first."""
    header = next((line.text for line in head if not line.is_blank), "")
    names = header.split(delimiter)[1:]
    return delimiter != " " and bool(names) and all(name.startswith(" ") for name in names)


def _sound_rows(head: list[Line], form: CellFormat) -> list[Row]:
    """The rows of the first lines, which may end in the middle of one."""
    rows: list[Row] = []
    with suppress(UnclosedQuoteError):
        rows.extend(row for row in read_rows(head, form) if row.cells)
    return rows
