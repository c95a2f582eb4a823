"""Files of names: an item a line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from latentspace_text.lines import Line, read_lines


@dataclass(slots=True)
class Listing:
    """The items of a file.

    Args:
        items: texts of the lines that are neither blank nor faulty, without white space around.
        numbers: the line of each item, from 1.
        blank: how many blank lines were passed over.
        faults: the lines that could not be read.
    """

    items: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    blank: int = 0
    faults: list[Line] = field(default_factory=list)

    def left_out(self) -> str:
        """What is not among the items, for people: "2 blank lines"; "" where all is."""
        lines = [f"{self.blank} blank line{'s' * (self.blank != 1)}"] if self.blank else []
        lines += [f"line {line.number}, which {line.fault}" for line in self.faults]
        return ", ".join(lines)


def read_list(source: Path | Iterable[Line]) -> Listing:
    """The items of a file, or of lines that were opened already.

    Raises:
        TextFileError: it cannot be read.
    """
    listing = Listing()
    for line in read_lines(source) if isinstance(source, Path) else source:
        if line.fault:
            listing.faults.append(line)
        elif item := line.text.strip():
            listing.items.append(item)
            listing.numbers.append(line.number)
        else:
            listing.blank += 1
    return listing
