"""The nodes of an edge list, as keys: those lists that node2vec is trained on."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.distinct import Seen
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.opening import Lines, peeked
from latentspace.indexing.sources.reasons import Reason
from latentspace.indexing.sources.text import BLANK_LINES
from latentspace_text import Delimiter, EdgeFormat, Line

HEAD_LINES = 1000
COMMENTS, HEADERS = "comments", "headers"


class EdgesSource(Source):
    """The nodes of a graph, each once, in order of appearance; ids are the keys themselves.

    Lines are read by the rules of `latentspace_text.edges`; those that are no edges fail alone.

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
        if delimiter and delimiter not in set(Delimiter):
            raise SourceError(f"{lines.name}: the delimiter of edges is a tab, a comma or a space")
        self.name = lines.name
        self._lines = lines
        # keys are their own ids
        self._layout = replace(columns.layout(["key"], self.name, lines.folder), id="key")
        self._delimiter = delimiter
        self._header = header
        self._left_out = Counter[str]()

    def left_out(self) -> Mapping[str, int]:
        """Blank lines, comments, and the header."""
        return dict(self._left_out)

    def __iter__(self) -> Iterator[Record | BadRecord]:
        """The nodes.

        Raises:
            SourceError: what `Lines` raises.
        """
        self._left_out.clear()
        seen = Seen()
        for line, names in self._edges():
            place = f"{self._lines.short}:{line.number}"
            if isinstance(names, str):
                yield BadRecord(place, Reason.UNREADABLE, names)
                continue
            for name in names:
                if not seen.add(name):
                    yield self._layout.record({"key": name}, line.number, place)

    def _edges(self) -> Iterator[tuple[Line, list[str] | str]]:
        """The two names of each edge, or what is wrong with its line."""
        head, lines = peeked(iter(self._lines), HEAD_LINES)
        texts = (line.text for line in head if not line.fault)
        fields = EdgeFormat.of(texts, self._delimiter).splitter()
        header = self._header
        for line in lines:
            if line.fault:
                yield line, f"the line {line.fault}"
                continue
            try:
                row = fields(line.text)
            except ValueError as error:
                yield line, f"not an edge: {error}"
                continue
            if not row:
                self._left_out[BLANK_LINES if line.is_blank else COMMENTS] += 1
            elif header:
                header = False
                self._left_out[HEADERS] += 1
            elif len(row) < 2:
                yield line, "an edge is source, target and perhaps weight, got 1 field"
            else:
                yield line, row[:2]
