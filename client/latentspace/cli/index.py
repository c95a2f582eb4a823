"""latentspace index"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from latentspace.cli.collections import fields_of
from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode, UsageError, complain
from latentspace.cli.failures import Failures
from latentspace.cli.indexed import NewCollection, ensure_collection
from latentspace.cli.output import Output
from latentspace.cli.progress import Reporter, duration, event
from latentspace.enums import FieldType, Metric, Modality
from latentspace.errors import DeadlineError, UnavailableError
from latentspace.indexing.export import open_export
from latentspace.indexing.export_format import ExportError, ExportSource
from latentspace.indexing.job import run_job
from latentspace.indexing.options import JobOptions, Progress, SourceError, TooManyErrorsError
from latentspace.indexing.records import Source
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.distinct import Distinct
from latentspace.indexing.sources.options import SourceKind, SourceOptions
from latentspace.requests.options import EmbedOptions
from latentspace.sync.client import Client

AGAIN = "what is written stays; run it again to go on"
TYPED = (".csv", ".tsv")


def index(
    client: Client,
    out: Output,
    source: Annotated[
        str, typer.Argument(help="A folder, a file, an export, or - for standard input.")
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Name or alias; a missing one is created.")
    ],
    model: Annotated[str, typer.Option(help="Model of a new collection.")] = "",
    dim: Annotated[int, typer.Option(min=0, help="Numbers a vector, without a model.")] = 0,
    metric: Annotated[Metric | None, typer.Option(help="Of a new collection.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Of a new collection: auto, hnsw, ...")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TYPE", help="A payload field that filters read; repeatable."),
    ] = None,
    kind: Annotated[
        SourceKind | None, typer.Option(help="What the source is; by default what its name says.")
    ] = None,
    id_column: Annotated[str, typer.Option(help="Column of the ids; else id, else rows.")] = "",
    input_column: Annotated[
        str, typer.Option(help="Column to embed; else text, image, key or vector.")
    ] = "",
    input_kind: Annotated[
        Modality | None, typer.Option("--as", help="What the column to embed holds.")
    ] = None,
    payload_column: Annotated[
        list[str] | None, typer.Option(help="A column to keep, repeatable; else all others.")
    ] = None,
    glob: Annotated[str, typer.Option(help="Which images below a folder.")] = "*",
    recursive: Annotated[bool, typer.Option(help="Folders within the folder too.")] = True,
    paragraphs: Annotated[
        bool, typer.Option("--paragraphs", help="Of a text, up to a blank line, not lines.")
    ] = False,
    delimiter: Annotated[str, typer.Option(help="Of the fields of CSV and edges.")] = "",
    quotes: Annotated[bool, typer.Option(help="Fields of CSV may stand in quotes.")] = True,
    header: Annotated[
        bool, typer.Option("--header", help="An edge list begins with names of its columns.")
    ] = False,
    role: Annotated[str, typer.Option(help="document (the default) or another.")] = "",
    resize: Annotated[
        int,
        typer.Option(min=0, metavar="PIXELS", help="Larger images are made so long at most."),
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Records sent at a time.")] = 256,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete points that the source lacks.")
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option(min=0, help="Stop when more records than this failed.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="Write what failed to this file, JSON lines.")
    ] = None,
) -> None:
    """Bring a collection up to date with a source; stopped anywhere, run it again to go on."""
    fields = fields_of(field or [])
    said = SourceOptions(
        kind=kind,
        id_column=id_column,
        input_column=input_column,
        input_kind=input_kind,
        payload_columns=None if payload_column is None else tuple(payload_column),
        types=_types(source, kind, fields),
        glob=glob,
        recursive=recursive,
        paragraphs=paragraphs,
        delimiter=delimiter,
        quotes=quotes,
        header=header,
    )
    if dead_letters is not None and _same(dead_letters, Path(source)):
        raise UsageError(f"--dead-letters {dead_letters} is the source, and would be overwritten")
    records = _opened(source, said)
    wanted = NewCollection(collection, model, dim, metric, recipe, fields)
    ensure_collection(client, wanted, records)
    embed = EmbedOptions(role=role) if role else EmbedOptions()
    options = JobOptions(collection, batch, delete_missing, max_errors, resize, embed)
    if isinstance(records, ExportSource):
        records = Distinct(records)
    with Failures(out, dead_letters) as failures, _ends_told(failures):
        done = _run(client, out, records, options, failures)
    if done.failed:
        good = done.written + done.unchanged
        raise typer.Exit(ExitCode.PARTIAL if good else ExitCode.REFUSED)


def add_index(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "index")(index)


def _types(source: str, kind: SourceKind | None, fields: dict[str, str]) -> dict[str, FieldType]:
    """Types of columns, where a source has text only."""
    by_name = kind is None and any(s.lower() in TYPED for s in Path(source).suffixes)
    if not by_name and kind not in (SourceKind.CSV, SourceKind.TSV):
        return {}
    return {name: FieldType(one) for name, one in fields.items()}


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _opened(source: str, said: SourceOptions) -> Source:
    try:
        # who names columns or a kind means the file as such
        export = open_export(Path(source)) if said == SourceOptions() else None
        return export or open_source(source, said)
    except (SourceError, ExportError) as error:
        raise UsageError(str(error)) from error


def _run(
    client: Client, out: Output, source: Source, options: JobOptions, failures: Failures
) -> Progress:
    """Runs the job; however it ends, its counts are told."""
    last = Progress()
    reporter = Reporter(out, f"index {options.collection}")

    def watch(progress: Progress) -> None:
        nonlocal last
        last = progress
        _show(reporter, progress)

    try:
        with reporter:
            return run_job(client, source, options, watch, failures)
    finally:
        _summary(out, source, options, last)


def _show(reporter: Reporter, now: Progress) -> None:
    counts = {"written": now.written, "unchanged": now.unchanged, "failed": now.failed}
    if now.deleted:
        counts["deleted"] = now.deleted
    reporter.update(now.written + now.unchanged + now.failed, now.total, **counts)


def _summary(out: Output, source: Source, options: JobOptions, last: Progress) -> None:
    rate = (last.written + last.unchanged) / last.seconds if last.seconds else 0.0
    if out.as_json:
        where = {"source": source.name, "collection": options.collection}
        event(out, "summary", **where, **asdict(last), rate=round(rate, 1))
        return
    deleted = f", {last.deleted:,} deleted" if options.delete_missing else ""
    said = "indexed" if last.finished else "stopped"
    out.say(
        f"{said} {source.name} into {options.collection}: {last.written:,} written, "
        f"{last.unchanged:,} unchanged, {last.failed:,} failed{deleted} "
        f"in {duration(last.seconds)} ({rate:,.0f}/s)",
        {},
    )


@contextmanager
def _ends_told(failures: Failures) -> Iterator[None]:
    """Says what failed, and what to do where the job did not come to its end."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted: {AGAIN}")
        raise
    except (UnavailableError, DeadlineError):
        complain(f"the job did not finish: {AGAIN}")
        raise
    except (SourceError, TooManyErrorsError) as error:
        complain(f"{error} ({AGAIN})")
        raise typer.Exit(ExitCode.REFUSED) from None
    finally:
        failures.tell()
