"""What sources give: records, and what could not be read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from latentspace.inputs import Input


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a source.

    Args:
        id: of its point, 1 to 512 bytes of UTF-8.
        input: a text, a key, a vector, or an image (a path, or the bytes of a file).
        payload: a JSON object.
        place: where it stands in the source, for people: "photos/a.jpg", "rows.csv:17".
    """

    id: str
    input: Input
    payload: dict[str, Any] = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What could not be made a record, or could not be indexed.

    Args:
        reason: for machines, in capitals: "UNREADABLE", "NO_ID", or the server's own.
        message: what is wrong, and what would cure it.
        id: "" where it has none.
    """

    place: str
    reason: str
    message: str
    id: str = ""


class Source(ABC):
    """Items in an order of their own, read as they are asked for; may be read several times."""

    #: for people: the path, or "standard input"
    name: str

    @abstractmethod
    def __iter__(self) -> Iterator[Record | BadRecord]:
        """All items; what cannot be read comes as a bad record and stops nothing.

        Raises:
            SourceError: nothing more of the source can be read.
        """

    def count(self) -> int | None:
        """Items there are, where that is cheap to know: for the time that is left."""
        return None

    def left_out(self) -> Mapping[str, int]:
        """What the last reading passed over on purpose: "blank lines", "comments", and how many."""
        return {}
