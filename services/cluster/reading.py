"""A source as a datasource of Ray Data: several processes read it, each its share."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from latentspace.chunks import split
from latentspace.images import FilePart
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.inputs import ImageInput
from services.cluster.parcels import Parcel, Told, pack

PARCEL_BYTES = 16 << 20


class RecordsDatasource(Datasource):  # type: ignore[misc]
    """The records of a source in parcels.

    Each of `readers` processes goes over the whole source and keeps every so many-th part: records
    of files have to be parsed to be counted, and repeated ids to be seen, and both cost little
    beside encoding. Images in files are read later, by whoever compares them.

    Args:
        items: records of a parcel.
    """

    def __init__(self, source: Source, readers: int, items: int) -> None:
        super().__init__()
        self._source, self._readers, self._items = source, readers, items

    def get_name(self) -> str:
        """For messages of Ray."""
        return "latentspace"

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes, where known."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task a reader, however many Ray would like."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [
            ReadTask(partial(_read, self._source, index, self._readers, self._items), unknown)
            for index in range(self._readers)
        ]


def _read(source: Source, index: int, readers: int, items: int) -> Iterator[Any]:
    try:
        for part in parts(source, index, readers, items):
            # what is many bytes must not come together in one process
            for records in split(
                iter(part),
                _size,
                max_items=items,
                chunk_bytes=PARCEL_BYTES,
                max_bytes=1 << 62,
            ):
                yield pack([Parcel(records=records, told=Told(read=len(records)))])
    except SourceError as error:
        # each reader meets it; what came before it goes its way
        yield pack([Parcel(told=Told(broken=error))])


def parts(
    source: Source, index: int, readers: int, items: int
) -> Iterator[list[Record | BadRecord]]:
    """The parts of `items` records whose number is `index`, modulo `readers`.

    Raises:
        SourceError: after all that came before it.
    """
    number = 0
    part: list[Record | BadRecord] = []
    try:
        for record in source:
            part.append(record)
            if len(part) == items:
                if number % readers == index:
                    yield part
                part, number = [], number + 1
    except SourceError:
        if part and number % readers == index:
            yield part
        raise
    if part and number % readers == index:
        yield part


def _size(item: Record | BadRecord) -> int:
    """Bytes of an image, in memory or where it lies: they are read into one parcel."""
    given = item.input if isinstance(item, Record) else None
    match given.source if isinstance(given, ImageInput) else None:
        case bytes() as data:
            return len(data)
        case FilePart() as part:
            return part.size
        case str() | PathLike() as path:
            with suppress(OSError):
                return Path(path).stat().st_size
    return 0
