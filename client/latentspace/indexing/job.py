"""A job: a source into a collection, as often as one likes."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from latentspace.calls import MIB, CallKind, RetryPolicy
from latentspace.chunks import split
from latentspace.errors import LatentspaceError
from latentspace.images import image_bytes
from latentspace.indexing.ahead import ahead, mapped
from latentspace.indexing.digests import digest_of
from latentspace.indexing.options import (
    DIGEST_FIELD,
    JobOptions,
    OnFailed,
    OnProgress,
    Progress,
    SourceError,
)
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.resizing import smaller
from latentspace.indexing.tally import Tally
from latentspace.inputs import ImageInput
from latentspace.requests.importing import NewPoint
from latentspace.results.point import UpsertedBatch
from latentspace.sync.client import Client

# reads and resizes files
THREADS = 4
# records of one thread hop
CHUNK = 64
# batches that are looked up and ready before they are sent, and how large
BATCHES_AHEAD, BATCH_BYTES = 2, 16 * MIB
# Together some minutes: long enough for a server to restart and load its models.
PATIENCE = RetryPolicy(max_attempts=120, max_pause_s=5.0)
PATIENCE_S = 600.0
WAITING = (CallKind.READ, CallKind.WRITE)
DELETE_ITEMS = 512


def run_job(
    client: Client,
    source: Source,
    options: JobOptions,
    on_progress: OnProgress | None = None,
    on_failed: OnFailed | None = None,
) -> Progress:
    """Writes what is missing or changed; what is stored as it is costs one lookup.

    May be stopped anywhere, also by force, and run again: nothing is doubled and nothing lost. A
    server that goes away is waited for, for some minutes.

    Args:
        on_progress: called now and then, and at the end; never by two threads at once.
        on_failed: called for every record that could not be read or was refused; likewise.

    Raises:
        SourceError: the source cannot be read any further, or points cannot be told from those
            of records that have no id, so that none was deleted.
        TooManyErrorsError: more records failed than `options.max_errors`.
        LatentspaceError: the server refuses the job, or cannot be reached any more.
    """
    client.collection(options.collection)  # at once, and not patiently: is there such a thing?
    tally = Tally(source.count(), options.max_errors, on_progress, on_failed)
    finished = False
    with client.with_patience(PATIENCE, dict.fromkeys(WAITING, PATIENCE_S)) as patient:
        job = _Job(patient, source, options, tally)
        try:
            job.write()
            if options.delete_missing:
                job.delete_missing()
            finished = True
        finally:
            progress = tally.end(finished=finished)
    return progress


@dataclass(frozen=True, slots=True)
class _Read:
    """A record whose input is in memory, and its digest."""

    record: Record
    digest: str

    @property
    def size(self) -> int:
        """Bytes of its input, where they are many."""
        given = self.record.input
        return len(given.source) if isinstance(given, ImageInput) else 0  # type: ignore[arg-type]


class _Job:
    def __init__(self, client: Client, source: Source, options: JobOptions, tally: Tally) -> None:
        self._client, self._source, self._options, self._tally = client, source, options, tally
        self._settings = {"resize": options.resize, **options.embed}
        #: where the records under way stand, by id
        self._places: dict[str, str] = {}
        #: hashes of all ids of the source, where missing ones are deleted
        self._seen = array("Q")
        self._nameless = 0

    def write(self) -> None:
        """Sends what is missing or changed, and waits until it is on disk."""
        with (
            ThreadPoolExecutor(THREADS) as pool,
            closing(ahead(self._batches(pool), BATCHES_AHEAD)) as batches,
        ):
            for written in self._client.upsert_stream(
                self._options.collection,
                chain.from_iterable(batches),
                options=self._options.embed,
                batch_items=self._options.batch_items,
                on_error="return",
            ):
                self._answered(written)

    def delete_missing(self) -> None:
        """Deletes the points that the source does not have.

        Raises:
            SourceError: some record has no id, so its point cannot be told.
        """
        if self._nameless:
            raise SourceError(
                f"{self._nameless} records of {self._source.name} have no id that could be read,"
                " so nothing was deleted: their points cannot be told from those that are gone"
            )
        seen = np.unique(np.frombuffer(self._seen, np.uint64))
        gone: list[str] = []
        for point in self._client.scroll(self._options.collection, with_payload=False):
            if not _among(_hash(point.id), seen):
                gone.append(point.id)
            if len(gone) == DELETE_ITEMS:
                self._delete(gone)
        self._delete(gone)

    def _delete(self, gone: list[str]) -> None:
        if gone:
            self._tally.add(deleted=self._client.delete(self._options.collection, gone))
            gone.clear()

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[list[NewPoint]]:
        """Points to write, in a thread of its own: read, compared with what is stored, resized."""
        read = mapped(pool, self._read_all, chunks(self._source), 4 * THREADS)
        for batch in split(
            self._good(read),
            lambda one: one.size,
            max_items=self._options.batch_items,
            chunk_bytes=BATCH_BYTES,
            max_bytes=1 << 62,
        ):
            changed = self._changed(batch)
            self._places |= {one.record.id: one.record.place for one in changed}
            if changed:
                yield list(pool.map(self._point, changed))

    def _read(self, item: Record | BadRecord) -> _Read | BadRecord:
        if isinstance(item, BadRecord):
            return item
        try:
            if isinstance(item.input, ImageInput) and not isinstance(item.input.source, bytes):
                item = replace(item, input=ImageInput(image_bytes(item.input.source)))
            return _Read(item, digest_of(item, self._settings))
        except (OSError, LatentspaceError) as error:
            return BadRecord(item.place, "UNREADABLE", str(error), item.id)

    def _read_all(self, items: Sequence[Record | BadRecord]) -> list[_Read | BadRecord]:
        return [self._read(item) for item in items]

    def _good(self, parts: Iterable[Sequence[_Read | BadRecord]]) -> Iterator[_Read]:
        """Those that could be read; all are counted, and their ids remembered."""
        for part in parts:
            self._tally.add(read=len(part))
            yield from self._good_of(part)

    def _good_of(self, items: Sequence[_Read | BadRecord]) -> Iterator[_Read]:
        for item in items:
            point_id = item.id if isinstance(item, BadRecord) else item.record.id
            if not point_id:
                self._nameless += 1
            elif self._options.delete_missing:
                self._seen.append(_hash(point_id))
            if isinstance(item, BadRecord):
                self._tally.fail(item)
            else:
                yield item

    def _changed(self, batch: Sequence[_Read]) -> list[_Read]:
        """Those that are not stored as they are."""
        ids = [one.record.id for one in batch]
        stored = {
            point.id: (point.payload or {}).get(DIGEST_FIELD)
            for point in self._client.get(self._options.collection, ids, on_error="return")
        }
        changed = [one for one in batch if stored.get(one.record.id) != one.digest]
        self._tally.add(unchanged=len(batch) - len(changed))
        return changed

    def _point(self, one: _Read) -> NewPoint:
        record = one.record
        given = record.input
        if self._options.resize and isinstance(given, ImageInput):
            assert isinstance(given.source, bytes), "images were read"
            given = ImageInput(smaller(given.source, self._options.resize))
        return NewPoint(record.id, given, {**record.payload, DIGEST_FIELD: one.digest})

    def _answered(self, batch: UpsertedBatch) -> None:
        places = [self._places.pop(point_id, point_id) for point_id in batch.ids]
        self._tally.add(written=batch.written)
        for position, error in batch.errors.items():
            reason = error.reason or error.code.name
            bad = BadRecord(places[position], reason, error.message, batch.ids[position])
            self._tally.fail(bad)


def chunks(source: Iterable[Record | BadRecord]) -> Iterator[list[Record | BadRecord]]:
    """Records in parts that are read in one thread hop; an image that lies in a file goes alone."""
    part: list[Record | BadRecord] = []
    for item in source:
        given = item.input if isinstance(item, Record) else None
        if isinstance(given, ImageInput) and not isinstance(given.source, bytes):
            yield from filter(None, (part, [item]))
            part = []
            continue
        part.append(item)
        if len(part) == CHUNK:
            yield part
            part = []
    if part:
        yield part


def _hash(point_id: str) -> int:
    return int.from_bytes(
        blake2b(point_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    )


def _among(value: int, ordered: NDArray[np.uint64]) -> bool:
    place = int(np.searchsorted(ordered, np.uint64(value)))
    return place < len(ordered) and int(ordered[place]) == value
