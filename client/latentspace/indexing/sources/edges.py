"""The nodes of an edge list, as keys.

Fields stand between tabs, commas (with quotes as in CSV) or white space. Blank lines and lines
that begin with # or % are left out. These are the edge lists that node2vec is trained on.
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.distinct import Seen
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.reasons import Reason

COMMENTS = ("#", "%")
HEAD_LINES = 1000


class _Fields(StrEnum):
    TAB = "\t"
    COMMA = ","
    SPACE = " "


class EdgesSource(Source):
    """The nodes of a graph, each once, in order of appearance; ids are the keys themselves.

    Args:
        delimiter: of the fields: a tab, a comma or a space (any white space); "" takes the first
            of these that stands in the first edge.
        header: the first line that is no comment names the columns.
    """

    def __init__(
        self, lines: Lines, columns: Columns, delimiter: str = "", header: bool = False
    ) -> None:
        """Reads nothing yet.

        Raises:
            SourceError: not a delimiter, or columns that a list of keys does not have.
        """
        if delimiter and delimiter not in set(_Fields):
            raise SourceError(f"{lines.name}: the delimiter of edges is a tab, a comma or a space")
        self.name = lines.name
        self._lines = lines
        # keys are their own ids
        self._layout = replace(columns.layout(["key"], self.name, lines.folder), id="key")
        self._delimiter = delimiter
        self._header = header

    def __iter__(self) -> Iterator[Record | BadRecord]:
        """The nodes.

        Raises:
            SourceError: what `Lines` raises, or a field that is too large for CSV.
        """
        seen = Seen()
        for number, row in self._edges():
            place = f"{self._lines.short}:{number}"
            if len(row) < 2:
                message = f"an edge is source, target and perhaps weight, got {len(row)} field"
                yield BadRecord(place, Reason.UNREADABLE, message)
                continue
            for name in row[:2]:
                if not seen.add(name):
                    yield self._layout.record({"key": name}, number, place)

    def _edges(self) -> Iterator[tuple[int, list[str]]]:
        head, lines = peeked(iter(self._lines), HEAD_LINES)
        header = self._header
        delimiter = _Fields(self._delimiter or _delimiter(head))
        for number, row in _split(lines, delimiter, self.name):
            # a line that begins with a delimiter has an empty name, and is told of later
            if not row or row == [""] or row[0][:1] in COMMENTS:
                continue
            if header:
                header = False
                continue
            yield number, row


def _split(lines: Iterator[str], delimiter: _Fields, name: str) -> Iterator[tuple[int, list[str]]]:
    """Fields of the lines, and the number of the last line of each."""
    if delimiter is _Fields.COMMA:
        reader = csv.reader(lines)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise SourceError(f"{name}: line {reader.line_num}: {error}") from error
        return
    for number, line in enumerate(lines, 1):
        yield number, line.rstrip("\r\n").split("\t") if delimiter is _Fields.TAB else line.split()


def _delimiter(head: list[str]) -> str:
    edges = (line for line in head if line.strip() and not line.startswith(COMMENTS))
    first = next(edges, "")
    return next((kind for kind in (_Fields.TAB, _Fields.COMMA) if kind in first), _Fields.SPACE)
