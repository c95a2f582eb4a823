"""A job: a source into a collection, as often as one likes."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain

from latentspace.calls import MIB, CallKind, RetryPolicy
from latentspace.chunks import split
from latentspace.images import FilePart
from latentspace.indexing.ahead import ahead, mapped
from latentspace.indexing.checking import check_size
from latentspace.indexing.comparing import Read, changed, new_point, read, settings_of
from latentspace.indexing.mirroring import SourceIds, delete_missing
from latentspace.indexing.options import JobOptions, OnFailed, OnProgress, Progress, SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.reasons import RecordError
from latentspace.indexing.tally import Tally
from latentspace.inputs import ImageInput
from latentspace.requests.importing import NewPoint
from latentspace.results.point import UpsertedBatch
from latentspace.sync.client import Client

# reads and resizes files
THREADS = 4
# records of one thread hop, and about how many bytes of files
CHUNK, HOP_BYTES = 64, MIB
# batches that are looked up and ready before they are sent, and how large
BATCHES_AHEAD, BATCH_BYTES = 2, 16 * MIB
# Together some minutes: long enough for a server to restart and load its models.
PATIENCE = RetryPolicy(max_attempts=120, max_pause_s=5.0)
PATIENCE_S = 600.0
WAITING = (CallKind.READ, CallKind.WRITE)
# of a message with one point: its id, payload and framing
OVERHEAD_BYTES = 128 * 1024


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
    # at once, and not patiently: is there such a thing?
    dim = client.collection(options.collection).dim
    tally = Tally(source.count(), options.max_errors, on_progress, on_failed)
    finished = False
    with patient(client) as waiting:
        job = _Job(waiting, source, options, tally, dim)
        try:
            job.write()
            job.check_end()
            if options.delete_missing:
                job.delete_missing()
            finished = True
        finally:
            progress = tally.end(finished=finished)
    return progress


def patient(client: Client) -> Client:
    """The same client, for work that waits for a server that is away."""
    return client.with_patience(PATIENCE, dict.fromkeys(WAITING, PATIENCE_S))


class _Job:
    def __init__(
        self, client: Client, source: Source, options: JobOptions, tally: Tally, dim: int
    ) -> None:
        self._client, self._source, self._options, self._tally = client, source, options, tally
        self._dim = dim
        self._settings = settings_of(options)
        #: where the records under way stand, by id
        self._places: dict[str, str] = {}
        #: of the source, where missing ones are deleted
        self._ids = SourceIds()
        self._unread: SourceError | None = None

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

    def check_end(self) -> None:
        """Refuses a source of which not all could be read; what came before is written.

        Raises:
            SourceError
        """
        if self._unread is not None:
            raise self._unread

    def delete_missing(self) -> None:
        """Deletes the points that the source does not have.

        Raises:
            SourceError: some record has no id, so its point cannot be told.
        """
        name = self._options.collection
        delete_missing(self._client, name, self._source.name, self._ids, self._tally)

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[list[NewPoint]]:
        """Points to write, in a thread of its own: read, compared with what is stored, resized."""
        parts = mapped(pool, self._read_all, chunks(self._items()), 4 * THREADS)
        for batch in split(
            self._good(parts),
            lambda one: one.size,
            max_items=self._options.batch_items,
            chunk_bytes=BATCH_BYTES,
            max_bytes=1 << 62,
        ):
            to_write = changed(self._client, self._options.collection, batch)
            self._tally.add(unchanged=len(batch) - len(to_write))
            self._places |= {one.record.id: one.record.place for one in to_write}
            if points := self._sendable(pool.map(self._point, to_write), to_write):
                yield points

    def _sendable(self, points: Iterable[NewPoint], batch: Sequence[Read]) -> list[NewPoint]:
        """Those that a message can hold; the others failed."""
        kept: list[NewPoint] = []
        for point, one in zip(points, batch, strict=True):
            try:
                check_size(point, self._client.max_message_bytes - OVERHEAD_BYTES)
                kept.append(point)
            except RecordError as error:
                self._places.pop(point.id)
                bad = BadRecord(one.record.place, error.reason, str(error), point.id)
                self._tally.fail(bad)
        return kept

    def _items(self) -> Iterator[Record | BadRecord]:
        try:
            yield from self._source
        except SourceError as error:
            self._unread = error

    def _read_all(self, items: Sequence[Record | BadRecord]) -> list[Read | BadRecord]:
        return [read(item, self._settings, self._dim) for item in items]

    def _good(self, parts: Iterable[Sequence[Read | BadRecord]]) -> Iterator[Read]:
        """Those that could be read; all are counted, and their ids remembered."""
        for part in parts:
            self._tally.add(read=len(part))
            for item in part:
                if self._options.delete_missing:
                    self._ids.add(item if isinstance(item, BadRecord) else item.record)
                if isinstance(item, BadRecord):
                    self._tally.fail(item)
                else:
                    yield item

    def _point(self, one: Read) -> NewPoint:
        return new_point(one, self._options.resize)

    def _answered(self, batch: UpsertedBatch) -> None:
        self._tally.add(written=batch.written)
        places = [self._places.pop(point_id, point_id) for point_id in batch.ids]
        for bad in refused(batch, places):
            self._tally.fail(bad)


def refused(batch: UpsertedBatch, places: Sequence[str]) -> Iterator[BadRecord]:
    """The records of a batch that the server refused.

    Args:
        places: where the records of the batch stand.
    """
    for position, error in batch.errors.items():
        reason = error.reason or error.code.name
        yield BadRecord(places[position], reason, error.message, batch.ids[position])


def chunks(source: Iterable[Record | BadRecord]) -> Iterator[list[Record | BadRecord]]:
    """Records in parts that are read in one thread hop; a file of an image takes one of its own."""
    part: list[Record | BadRecord] = []
    size = 0
    for item in source:
        part.append(item)
        size += _bytes_to_read(item)
        if len(part) == CHUNK or size >= HOP_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _bytes_to_read(item: Record | BadRecord) -> int:
    given = (
        item.input.source
        if isinstance(item, Record) and isinstance(item.input, ImageInput)
        else b""
    )
    if isinstance(given, FilePart):
        return given.size
    return 0 if isinstance(given, bytes) else HOP_BYTES
