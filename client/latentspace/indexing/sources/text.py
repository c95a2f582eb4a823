"""Plain text: a line, or a paragraph, a record."""

from collections.abc import Iterator
from dataclasses import replace

from latentspace.enums import Modality
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.opening import Lines

# of at most 4 bytes each, and a payload is at most 64 KiB
KEPT_CHARACTERS = 16_000


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

    def __iter__(self) -> Iterator[Record | BadRecord]:
        return self.records(iter(self._lines))

    def records(self, lines: Iterator[str]) -> Iterator[Record | BadRecord]:
        """Those of lines that were opened already."""
        numbered = enumerate(lines, 1)
        for number, text in _paragraphs(numbered) if self._paragraphs else _stripped(numbered):
            place = f"{self._lines.short}:{number}"
            layout = self._kept if len(text) <= KEPT_CHARACTERS else self._bare
            yield layout.record({"text": text}, number, place)


def _stripped(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if text := line.strip():
            yield number, text


def _paragraphs(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    first, held = 0, list[str]()
    for number, line in lines:
        if text := line.strip():
            first = first if held else number
            held.append(text)
        elif held:
            yield first, "\n".join(held)
            held = []
    if held:
        yield first, "\n".join(held)
