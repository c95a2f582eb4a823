"""Edge lists: a line an edge, its source, its target and, where it has one, its weight.

Fields stand between tabs, commas (with quotes as in CSV) or white space. Blank lines and lines
that begin with # or % are left out. Plain or .gz, UTF-8. Names are kept as they are.
"""

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain, count, islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from embedders.errors import OptionError
from embedders.formats.opening import is_gzip
from embedders.node2vec.building import Edges
from embedders.node2vec.options import Delimiter, EdgeWeights, GraphOptions

BLOCK_LINES = 1 << 16
COMMENTS = ("#", "%")

Row = list[str]


def read_edges(path: Path, options: GraphOptions) -> Edges:
    """The edges of a file.

    Raises:
        OptionError: not there, damaged, not UTF-8, or a line that is no edge; names the line.
    """
    try:
        with _open(path) as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            return _read(path, text, options)
    except UnicodeDecodeError as error:
        raise OptionError("source", f"{_bad_line(path)} is not UTF-8: {error.reason}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OptionError("source", f"{path}: damaged or cut off: {error}") from error


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

    def edges(self) -> Edges:
        """All that was read."""
        for name in self.index:
            if "\n" in name:
                raise OptionError("source", f"{self.path}: the name {name!r} has a line feed")
        empty = np.empty(0, np.int64)
        joined = zip(*self.parts, strict=True) if self.parts else [(empty,)] * 3
        sources, targets, lines = (np.concatenate(part) for part in joined)
        weights = np.concatenate(self.weights) if self.weights else None
        path = self.path

        def place(i: int) -> str:
            return f"{path}: line {lines[i]}" if len(lines) else str(path)

        return Edges(list(self.index), sources, targets, weights, place)

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


def _read(path: Path, text: Iterable[str], options: GraphOptions) -> Edges:
    lines = iter(text)
    head = list(islice(lines, 1000))
    blocks = _blocks(chain(head, lines), _delimiter(head, options), options.header)
    reader: _Reader | None = None
    for rows, numbers in blocks:
        if reader is None:
            columns = _columns(path, (int(numbers[0]), rows[0]), options)
            reader = _Reader(path, columns, options.weights is not EdgeWeights.IGNORE)
        reader.add(rows, numbers)
    if reader is None:
        raise OptionError("source", f"{path}: there are no edges; a line an edge is expected")
    return reader.edges()


def _blocks(
    lines: Iterator[str], delimiter: Delimiter, header: bool
) -> Iterator[tuple[list[Row], NDArray[np.int64]]]:
    """Fields and numbers of the lines that are edges."""
    start, rows = 1, _split(lines, delimiter)
    while block := list(islice(rows, BLOCK_LINES)):
        edges = [i for i, row in enumerate(block) if _is_edge(row)]
        if header and edges:
            edges, header = edges[1:], False
        if edges:
            kept = block if len(edges) == len(block) else [block[i] for i in edges]
            yield kept, np.array(edges, np.int64) + start
        start += len(block)


def _split(lines: Iterator[str], delimiter: Delimiter) -> Iterator[Row]:
    if delimiter is Delimiter.COMMA:
        return csv.reader(lines)
    if delimiter is Delimiter.TAB:
        return (line.rstrip("\r\n").split("\t") for line in lines)
    return map(str.split, lines)


def _is_edge(row: Row) -> bool:
    # a line that begins with a delimiter has an empty name, and is told of later
    return bool(row) and (len(row) > 1 or row[0] != "") and row[0][:1] not in COMMENTS


def _delimiter(head: list[str], options: GraphOptions) -> Delimiter:
    if options.delimiter is not Delimiter.AUTO:
        return options.delimiter
    edges = (line for line in head if line.strip() and not line.startswith(COMMENTS))
    first = next(edges, "")
    if "\t" in first:
        return Delimiter.TAB
    return Delimiter.COMMA if "," in first else Delimiter.SPACE


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


def _open(path: Path) -> BinaryIO:
    if not path.is_file():
        raise OptionError("source", f"{path}: no such file")
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def _bad_line(path: Path) -> str:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"{path}: line {number}"
    return str(path)
