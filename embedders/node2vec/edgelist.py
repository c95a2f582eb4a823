"""Edge lists: a line an edge, its source, its target and, where it has one, its weight.

Lines, names, comments and delimiters are read by the rules of `latentspace_text`, as everywhere.
Lines that are blank or comments are counted in the edges' notes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.errors import OptionError
from embedders.node2vec.building import Edges
from embedders.node2vec.options import Delimiter, EdgeWeights, GraphOptions
from latentspace_text import EdgeFormat, Line, TextFileError, read_lines

# small: the garbage collector walks over all rows that are held
BLOCK_LINES = 1 << 10
HEAD_LINES = 1000
CHARACTERS: Mapping[Delimiter, str] = {
    Delimiter.AUTO: "",
    Delimiter.TAB: "\t",
    Delimiter.COMMA: ",",
    Delimiter.SPACE: " ",
}

Row = list[str]


def read_edges(path: Path, options: GraphOptions) -> Edges:
    """The edges of a file, plain, .gz or .xz.

    Raises:
        OptionError: not there, damaged, not UTF-8, or a line that is no edge; names the line.
    """
    try:
        return _read(path, read_lines(path), options)
    except TextFileError as error:
        raise OptionError("source", str(error)) from error


@dataclass(slots=True)
class _Reader:
    """Blocks of lines to arrays."""

    path: Path
    columns: int
    exact: bool
    index: defaultdict[str, int] = field(default_factory=lambda: defaultdict(count().__next__))
    parts: list[tuple[NDArray[np.int64], ...]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, rows: list[Row], lines: NDArray[np.int64]) -> None:
        """Takes rows in; `lines` are their numbers."""
        if {len(row) for row in rows} != {self.columns} or not self._named(rows):
            self._check(rows, lines)
        number = self.index.__getitem__
        sources = np.array([number(row[0]) for row in rows], np.int64)
        targets = np.array([number(row[1]) for row in rows], np.int64)
        self.parts.append((sources, targets, lines))
        if self.columns == 3:
            try:
                self.weights.append(np.array([float(row[2]) for row in rows]))
            except ValueError:
                self._check_numbers(rows, lines)

    def edges(self, notes: tuple[str, ...]) -> Edges:
        """All that was read."""
        empty = np.empty(0, np.int64)
        joined = zip(*self.parts, strict=True) if self.parts else [(empty,)] * 3
        sources, targets, lines = (np.concatenate(part) for part in joined)
        weights = np.concatenate(self.weights) if self.weights else None
        path = self.path

        def place(i: int) -> str:
            return f"{path}: line {lines[i]}" if len(lines) else str(path)

        return Edges(list(self.index), sources, targets, weights, place, notes=notes)

    @staticmethod
    def _named(rows: list[Row]) -> bool:
        return all(row[0] and row[1] for row in rows)

    def _check(self, rows: list[Row], lines: NDArray[np.int64]) -> None:
        for row, line in zip(rows, lines, strict=True):
            where = f"{self.path}: line {line}"
            if len(row) < 2:
                raise OptionError(
                    "source",
                    f"{where} has {len(row)} field: an edge is source, target and, where it has "
                    "one, weight; delimiter says what stands between them",
                )
            if not row[0] or not row[1]:
                raise OptionError("source", f"{where}: a node without a name")
            if self.exact and len(row) != self.columns:
                raise OptionError(
                    "source",
                    f"{where} has {len(row)} fields, not {self.columns}: mend it, "
                    "or set weights to 'ignore' to read only the first two",
                )

    def _check_numbers(self, rows: list[Row], lines: NDArray[np.int64]) -> None:
        for row, line in zip(rows, lines, strict=True):
            try:
                float(row[2])
            except ValueError:
                hint = "; set header where the line names the columns" if line == 1 else ""
                message = f"{self.path}: line {line}: the weight {row[2]!r} is not a number{hint}"
                raise OptionError("source", message) from None


def _read(path: Path, lines: Iterator[Line], options: GraphOptions) -> Edges:
    head = list(islice(lines, HEAD_LINES))
    form = EdgeFormat.of((line.text for line in head), CHARACTERS[options.delimiter])
    rows = _Rows(path, form.splitter())
    reader: _Reader | None = None
    for block, numbers in _blocks(rows.of(chain(head, lines)), options.header):
        if reader is None:
            columns = _columns(path, (int(numbers[0]), block[0]), options)
            reader = _Reader(path, columns, options.weights is not EdgeWeights.IGNORE)
        reader.add(block, numbers)
    if reader is None:
        raise OptionError("source", f"{path}: there are no edges; a line an edge is expected")
    return reader.edges(rows.notes())


@dataclass(slots=True)
class _Rows:
    """The fields of the lines that are edges, and what the others were."""

    path: Path
    fields: Callable[[str], Row]
    passed: Counter[str] = field(default_factory=Counter)

    def of(self, lines: Iterator[Line]) -> Iterator[tuple[int, Row]]:
        """Line numbers and fields."""
        fields = self.fields
        for number, text, _, fault, _ in lines:
            if fault:
                raise OptionError("source", f"{self.path}: line {number} {fault}")
            try:
                row = fields(text)
            except ValueError as error:
                raise OptionError("source", f"{self.path}: line {number}: {error}") from None
            if row:
                yield number, row
            else:
                self.passed["comments" if text.strip() else "blank"] += 1

    def notes(self) -> tuple[str, ...]:
        """What was left out, as a sentence."""
        if not self.passed:
            return ()
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.passed.items()))
        return (f"{self.passed.total()} lines hold no edge and were left out ({kinds})",)


def _blocks(
    rows: Iterator[tuple[int, Row]], header: bool
) -> Iterator[tuple[list[Row], NDArray[np.int64]]]:
    """Edges in blocks, and the numbers of their lines."""
    if header:
        next(rows, None)
    while block := list(islice(rows, BLOCK_LINES)):
        numbers, fields = zip(*block, strict=True)
        yield list(fields), np.array(numbers, np.int64)


def _columns(path: Path, first: tuple[int, Row], options: GraphOptions) -> int:
    line, row = first
    if options.weights is EdgeWeights.IGNORE or (
        options.weights is EdgeWeights.AUTO and len(row) == 2
    ):
        return 2
    if len(row) > 3:
        raise OptionError(
            "source",
            f"{path}: line {line} has {len(row)} fields: an edge is source, target and weight; "
            "set weights to 'ignore' to read only the first two",
        )
    return 3
