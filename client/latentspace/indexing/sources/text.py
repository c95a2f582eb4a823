"""Plain text: a line, or a paragraph, a record."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from latentspace.enums import Modality
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.opening import Lines
from latentspace.indexing.sources.reasons import Reason
from latentspace.payloads import KEPT_CHARACTERS
from latentspace_text import MAX_LINE_BYTES, Line

BLANK_LINES = "blank lines"


class TextSource(Source):
    """The lines of a text, stripped, blank ones passed over; ids are their numbers from 1.

    A text is a table of one column, "text". It is kept as payload too, so that a search shows what
    it found, but for texts that are too long for one; or what `columns` say. It may be a key or
    the path of an image where they say that.

    Args:
        paragraphs: lines up to a blank one are one record, with the number of the first.
    """

    def __init__(self, lines: Lines, columns: Columns, paragraphs: bool = False) -> None:
        self.name = lines.name
        self._lines = lines
        self._paragraphs = paragraphs
        self._bare = columns.layout(["text"], self.name, lines.folder)
        keeps = columns.payload is None and columns.input_kind in (None, Modality.TEXT)
        self._kept = replace(self._bare, payload=("text",)) if keeps else self._bare
        self._blank = 0

    def left_out(self) -> Mapping[str, int]:
        """Blank lines, where a record is a line."""
        return {} if self._paragraphs else +Counter({BLANK_LINES: self._blank})

    def __iter__(self) -> Iterator[Record | BadRecord]:
        return self.records(iter(self._lines))

    def records(self, lines: Iterator[Line]) -> Iterator[Record | BadRecord]:
        """Those of lines that were opened already."""
        self._blank = 0
        if not self._paragraphs:
            for line in lines:
                if line.is_blank:
                    self._blank += 1
                else:
                    yield self._record(line)
            return
        for is_blank, group in groupby(lines, lambda line: line.is_blank):
            if not is_blank:
                yield self._record(_joined(group))

    def _record(self, line: Line) -> Record | BadRecord:
        place = f"{self._lines.short}:{line.number}"
        if line.fault:
            return BadRecord(place, Reason.UNREADABLE, f"the line {line.fault}", str(line.number))
        text = line.text.strip()
        layout = self._kept if len(text) <= KEPT_CHARACTERS else self._bare
        return layout.record({"text": text}, line.number, place)


def _joined(lines: Iterable[Line]) -> Line:
    """A paragraph as a line, with the number of the first; faulty where one of its lines is."""
    number, letters, fault, texts = 0, 0, "", list[str]()
    for line in lines:
        number = number or line.number
        letters += len(line.text)
        if line.fault:
            fault = fault or f"{line.number - number + 1} of the paragraph {line.fault}"
        if letters > MAX_LINE_BYTES:
            fault = fault or f"begins a paragraph of over {MAX_LINE_BYTES} letters"
        if fault:
            texts.clear()
        else:
            texts.append(line.text.strip())
    return Line(number, "\n".join(texts), fault=fault)
