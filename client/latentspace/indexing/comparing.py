"""Records beside what is stored of them: which have to be written, and as what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentspace.errors import LatentspaceError
from latentspace.indexing.checking import checked
from latentspace.indexing.digests import digest_of
from latentspace.indexing.options import DIGEST_FIELD, JobOptions
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.resizing import smaller
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.inputs import ImageInput
from latentspace.requests.importing import NewPoint
from latentspace.sync.client import Client


@dataclass(frozen=True, slots=True)
class Read:
    """A record whose input is in memory, and its digest."""

    record: Record
    digest: str

    @property
    def size(self) -> int:
        """Bytes of its input, where they are many."""
        given = self.record.input
        return len(given.source) if isinstance(given, ImageInput) else 0  # type: ignore[arg-type]


def settings_of(options: JobOptions) -> dict[str, Any]:
    """What changes points beside their records; it goes into their digests."""
    return {"resize": options.resize, **options.embed}


def read(item: Record | BadRecord, settings: Mapping[str, Any], dim: int = 0) -> Read | BadRecord:
    """A record with its image read, or why it cannot be sent.

    Args:
        dim: of the collection's vectors; 0 where it is not known.
    """
    if isinstance(item, BadRecord):
        return item
    try:
        record = checked(item, dim)
        return Read(record, digest_of(record, settings))
    except RecordError as error:
        return BadRecord(item.place, error.reason, str(error), _known_id(item))
    except (OSError, ValueError, LatentspaceError) as error:
        return BadRecord(item.place, Reason.UNREADABLE, str(error), _known_id(item))


def _known_id(record: Record) -> str:
    return record.id if isinstance(record.id, str) else ""


def changed(client: Client, collection: str, batch: Sequence[Read]) -> list[Read]:
    """Those that are not stored as they are.

    Raises:
        LatentspaceError: the server refuses, or cannot be reached.
    """
    ids = [one.record.id for one in batch]
    stored = {
        point.id: (point.payload or {}).get(DIGEST_FIELD)
        for point in client.get(collection, ids, on_error="return")
    }
    return [one for one in batch if stored.get(one.record.id) != one.digest]


def new_point(one: Read, resize: int) -> NewPoint:
    """The point of a record; images are made smaller where that is wanted."""
    record = one.record
    given = record.input
    if resize and isinstance(given, ImageInput):
        assert isinstance(given.source, bytes), "images were read"
        given = ImageInput(smaller(given.source, resize))
    return NewPoint(record.id, given, {**record.payload, DIGEST_FIELD: one.digest})
