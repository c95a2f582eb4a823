"""In the child process of an import: an indexing job against the server that started it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from latentspace import Client
from latentspace.errors import LatentspaceError
from latentspace.indexing.dead_letters import DeadLetters
from latentspace.indexing.export import open_export
from latentspace.indexing.export_folder import EXPORT_FILES
from latentspace.indexing.job import run_job
from latentspace.indexing.options import Progress, SourceError, TooManyErrorsError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.distinct import Distinct
from latentspace.indexing.sources.options import SourceOptions
from latentspace.inputs import ImageInput
from services.rpc.import_params import read_import_params
from services.runtime.child import Parent
from services.runtime.errors import JobError, RequestError, SourceDeniedError
from services.runtime.provenance import code_versions, data_hash
from services.runtime.sources import Sources

STAGE = "importing"
FAILURES = 20
# of `Progress`, what an operation that succeeded says itself
UNTOLD = frozenset({"total", "finished"})
AGAIN = "what is written stays: start it again to go on"


def run(parent: Parent, argument: Mapping[str, Any]) -> Mapping[str, Any]:
    """Brings `collection` up to date with `source`; written points stay however it ends.

    Returns:
        The result that the contract promises.

    Raises:
        JobError: nothing of it could be imported, or it broke off; with what it had done.
    """
    asked = read_import_params(argument["params"])
    path, letters = Path(argument["source"]), Path(argument["dead_letters"])
    digest = data_hash(path, parent)
    allowed = Sources(map(Path, argument["roots"]))
    source = Confined(open_records(path, asked.source, allowed), allowed)
    watch = _Watch(parent, letters)
    with watch.letters, Client(argument["address"]) as client:
        job = asked.job(argument["collection"])
        try:
            done = run_job(client, source, job, watch.progress, watch.failed)
        except (SourceError, TooManyErrorsError, LatentspaceError) as error:
            raise JobError(f"{error} ({watch.counts}; {AGAIN})") from error
        about = client.collection(argument["collection"])
    if done.failed and not done.written + done.unchanged:
        first = watch.first[0]
        raise JobError(f"all {done.failed} records failed; {first.place}: {first.message}")
    return {
        "collection": argument["collection"],
        **{name: value for name, value in asdict(done).items() if name not in UNTOLD},
        "left_out": dict(source.left_out()),
        "failures": [asdict(bad) for bad in watch.first],
        "dead_letters": str(letters) if done.failed else "",
        "provenance": {
            "source": str(path),
            "source_sha256": digest,
            "params": asdict(asked),
            "model": about.model,
            "space_id": about.space_id,
            "versions": code_versions(),
        },
    }


class Confined(Source):
    """A source whose images lie below the allowed folders; all others are bad records."""

    def __init__(self, source: Source, allowed: Sources) -> None:
        self.name = source.name
        self._source, self._allowed = source, allowed

    def count(self) -> int | None:
        """Items of the source."""
        return self._source.count()

    def left_out(self) -> Mapping[str, int]:
        """What the source passed over."""
        return self._source.left_out()

    def __iter__(self) -> Iterator[Record | BadRecord]:
        for item in self._source:
            given = item.input if isinstance(item, Record) else None
            if isinstance(given, ImageInput) and isinstance(given.source, str | Path):
                try:
                    self._allowed.find(str(given.source), "image")
                except SourceDeniedError as error:
                    yield BadRecord(item.place, "SOURCE_DENIED", str(error), item.id)
                    continue
                except RequestError:
                    pass  # there is none; reading it says so
            yield item


def open_records(path: Path, said: SourceOptions, allowed: Sources) -> Source:
    """The source of a file or folder, as `latentspace index` opens it.

    Raises:
        SourceDeniedError: a file of an export is a link that leads out of the allowed folders.
        SourceError: not known what it is, or options that do not go with it.
        ExportError: a Parquet file, and pyarrow is not installed.
    """
    for part in (path / name for name in EXPORT_FILES):
        if part.is_symlink():
            allowed.find(str(part))
    # who names columns or a kind means the file as such
    plain = replace(said, declared={}) == SourceOptions()
    export = open_export(path) if plain else None
    return open_source(str(path), said) if export is None else Distinct(export)


class _Watch:
    """Tells the server how the job goes, and keeps what failed."""

    def __init__(self, parent: Parent, letters: Path) -> None:
        self._parent = parent
        self._last = Progress()
        self.letters = DeadLetters(letters)
        self.first: list[BadRecord] = []

    def progress(self, now: Progress) -> None:
        self._last = now
        done = now.written + now.unchanged + now.failed
        counts = {"written": now.written, "unchanged": now.unchanged, "failed": now.failed}
        rate = done / now.seconds if now.seconds else 0.0
        self._parent.note(**counts, deleted=now.deleted, rate=round(rate, 1))
        self._parent(STAGE, done, now.total or 0)

    def failed(self, bad: BadRecord) -> None:
        self.letters.write(bad)
        self.first += islice([bad], FAILURES - len(self.first))

    @property
    def counts(self) -> str:
        last = self._last
        return f"{last.written} written, {last.unchanged} unchanged, {last.failed} failed"
