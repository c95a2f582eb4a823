"""Records beside what is stored of them: which have to be written, and as what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from latentspace.errors import LatentspaceError
from latentspace.images import image_bytes
from latentspace.indexing.digests import digest_of
from latentspace.indexing.options import DIGEST_FIELD, JobOptions
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.resizing import smaller
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


def read(item: Record | BadRecord, settings: Mapping[str, Any]) -> Read | BadRecord:
    """A record with its image read, or why that cannot be."""
    if isinstance(item, BadRecord):
        return item
    try:
        if isinstance(item.input, ImageInput) and not isinstance(item.input.source, bytes):
            item = replace(item, input=ImageInput(image_bytes(item.input.source)))
        return Read(item, digest_of(item, settings))
    except (OSError, LatentspaceError) as error:
        return BadRecord(item.place, "UNREADABLE", str(error), item.id)


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
