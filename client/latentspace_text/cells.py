"""Rows of CSV and its kin, which resume only where a row is known to end.

A cell that begins with a double quote ends at the next one that is not doubled, lines between
them included; quotes further on in a cell are letters, but not in a row of several lines. What
cannot be a row is faulty by itself.
After a closing quote with letters behind it, this reading and the count of all quotes may differ
in whether a line ends between quotes: a faulty row goes on until both say that it ended. Where
they do not agree again within the longest row, the quote that is too many stands alone, and the
row ends where this reading ended it.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from latentspace_text.lines import MAX_LINE_BYTES, Line, TextFileError

#: longer rows are faulty
MAX_ROW_LETTERS = MAX_LINE_BYTES

# up to a quote that is not doubled
_CLOSING = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


class CellError(ValueError):
    """A line is not one row; says why."""


class UnclosedQuoteError(TextFileError):
    """A quote is not closed until the end of the file: where rows end cannot be known.

    Args:
        row: the first line of the row with the quote.
    """

    def __init__(self, row: int, line: int, last: int) -> None:
        self.row = row
        super().__init__(
            f"line {line}: the quote that opens here is not closed until the end of the file (line "
            f"{last}), or the file is cut off; where rows end cannot be known, so none is read from"
            f" line {row} on"
        )


class Row(NamedTuple):
    """A row, or a blank line, which has no cells.

    Args:
        line: its first line.
        last: its last line.
        fault: why its cells cannot be used; "" of a sound row.
        is_one: whether it is known to be a single row; a faulty one may be several.
        has_letter_quotes: whether a cell that does not begin with a quote has one: after a faulty
            row it may be the end of a cell.
    """

    line: int
    last: int
    cells: list[str]
    fault: str = ""
    is_one: bool = True
    has_letter_quotes: bool = False


@dataclass(frozen=True, slots=True)
class CellFormat:
    """How rows are cut into cells.

    Args:
        delimiter: one letter.
        quotes: whether cells may stand between double quotes; without, these are letters.
        strips: spaces around cells are not part of them, but between quotes.
    """

    delimiter: str = ","
    quotes: bool = True
    strips: bool = False


def split_cells(text: str, delimiter: str) -> list[str]:
    """The cells of a row of one line, without spaces around those that are not quoted.

    Raises:
        CellError: it is not a row of one line.
    """
    row = _Row(CellFormat(delimiter, strips=True))
    row.add(Line(1, text, ""))
    if row.is_open:
        raise CellError("a quote is not closed on its line")
    if row.fault:
        raise CellError(row.fault)
    return row.cells


def read_rows(lines: Iterable[Line], form: CellFormat) -> Iterator[Row]:
    """The rows of lines, and the blank lines between them.

    Raises:
        UnclosedQuoteError: after the last row that is known to end.
        TextFileError: what `lines` raises.
    """
    pending = _Pending(iter(lines))
    while (first := pending.next()) is not None:
        if first.is_blank:
            yield Row(first.number, first.number, [])
            continue
        if (cells := _sound_cells(first, form)) is not None:
            yield Row(first.number, first.number, cells)
            continue
        row, last = _Row(form), first
        row.add(first)
        while row.is_open:
            line = pending.next()
            if line is None:
                raise UnclosedQuoteError(first.number, row.quote_line, last.number)
            row.add(last := line)
        if row.is_broken and row.quotes % 2:
            last = _settled(row, last, pending)
        is_unsure = row.is_broken or row.has_letter_quotes
        if last is not first and row.has_letter_quotes:
            row.fail(
                "a row of several lines has a quote within a cell that does not begin with one"
            )
        yield Row(
            line=first.number,
            last=last.number,
            cells=[] if row.fault else row.cells,
            fault=row.fault,
            is_one=last is first or not is_unsure,
            has_letter_quotes=row.has_letter_quotes,
        )


def _sound_cells(line: Line, form: CellFormat) -> list[str] | None:
    """The cells of a line that is a row by itself; None where it has to be looked into."""
    text = line.text
    if line.fault or "\r" in text or form.strips:
        return None
    if not form.quotes or '"' not in text:
        return text.split(form.delimiter)
    try:
        cells = next(csv.reader((text,), delimiter=form.delimiter, strict=True))
        return None if '"' in "".join(cells) else cells
    except csv.Error:
        # several lines, a fault, or a cell over the limit that the csv module has for all its users
        return None


class _Pending:
    """Lines that can be put back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._back: deque[Line] = deque()

    def next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def put_back(self, lines: list[Line]) -> None:
        self._back.extendleft(reversed(lines))


@dataclass(slots=True)
class _Row:
    """A row under way.

    Args:
        pieces: of the cell between quotes that its lines end in; None where they end outside.
        quotes: all of its double quotes.
        quote_line: the line of the last opening quote.
        is_broken: letters follow a closing quote.
        has_letter_quotes: see `Row`.
    """

    form: CellFormat
    cells: list[str] = field(default_factory=list)
    pieces: list[str] | None = None
    fault: str = ""
    quotes: int = 0
    quote_line: int = 0
    is_broken: bool = False
    has_letter_quotes: bool = False
    letters: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its lines end between quotes."""
        return self.pieces is not None

    def add(self, line: Line) -> None:
        """Takes the next line in."""
        self.letters += len(line.text)
        if line.fault:
            self.fail(f"line {line.number} {line.fault}")
        if self.letters > MAX_ROW_LETTERS:
            self.fail(f"the row has over {MAX_ROW_LETTERS} letters")
        if line.quotes % 2:
            # of a line that was too long to keep, the count of its quotes says how it ended
            self.pieces = [] if self.pieces is None else None
            self.quote_line = line.number
        self.quotes += line.quotes
        if line.text:
            self._cut(line)
        if self.pieces is not None:
            self.pieces.append(line.end)
        if self.fault:
            # the text of a faulty row is not kept
            self.cells.clear()
            self.pieces = None if self.pieces is None else []

    def _cut(self, line: Line) -> None:
        text = line.text
        if self.form.quotes:
            self.quotes += text.count('"')
            if self.pieces is not None or '"' in text:
                self._cut_quoted(line)
                return
        cells = text.split(self.form.delimiter)
        if "\r" in text:
            self.fail("a carriage return (CR) stands alone, outside of quotes")
        self.cells += [cell.strip(" ") for cell in cells] if self.form.strips else cells

    def _cut_quoted(self, line: Line) -> None:
        text, start = line.text, 0
        if self.pieces is not None:
            start = self._quoted(text, 0)
        while start >= 0:
            quote = start
            while self.form.strips and text.startswith(" ", quote):
                quote += 1
            if text.startswith('"', quote):
                self.pieces, self.quote_line = [], line.number
                start = self._quoted(text, quote + 1)
            else:
                start = self._bare(text, start)

    def _bare(self, text: str, start: int) -> int:
        """Takes a cell without quotes; where the next one begins, -1 at the end of the line."""
        end = text.find(self.form.delimiter, start)
        cell = text[start:] if end < 0 else text[start:end]
        if "\r" in cell:
            self.fail("a carriage return (CR) stands alone, outside of quotes")
        self.has_letter_quotes |= '"' in cell
        self.cells.append(cell.strip(" ") if self.form.strips else cell)
        return end + 1 if end >= 0 else -1

    def _quoted(self, text: str, start: int) -> int:
        """Takes what is left of a cell between quotes; returns as `_bare`."""
        assert self.pieces is not None, "between quotes"
        inside = _CLOSING.match(text, start)
        if inside is None:
            self.pieces.append(text[start:])
            return -1
        self.pieces.append(inside[0][:-1])
        self.cells.append("".join(self.pieces).replace('""', '"'))
        self.pieces = None
        end = text.find(self.form.delimiter, inside.end())
        behind = text[inside.end() :] if end < 0 else text[inside.end() : end]
        if behind.strip(" ") if self.form.strips else behind:
            self.is_broken = True
            self.fail(f"{behind!r:.40} follows the quote that closes a cell")
        return end + 1 if end >= 0 else -1

    def fail(self, fault: str) -> None:
        """Marks it as faulty; the first reason stays."""
        self.fault = self.fault or fault


def _settled(row: _Row, last: Line, pending: _Pending) -> Line:
    """The line that ends a broken row after whose `last` line an odd number of quotes stands."""
    ahead, letters = list[Line](), 0
    while letters <= MAX_ROW_LETTERS and (line := pending.next()) is not None:
        ahead.append(line)
        letters += len(line.text)
        row.add(line)
        if not row.is_open and row.quotes % 2 == 0:
            return line
    pending.put_back(ahead)
    return last
