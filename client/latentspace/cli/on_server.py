"""`latentspace index --on-server`: the server reads the source itself."""

from dataclasses import fields
from typing import Any

import typer

from latentspace.cli.exits import ExitCode, complain
from latentspace.cli.operations import followed_operation, operation_record
from latentspace.cli.output import Output
from latentspace.cli.progress import duration
from latentspace.indexing.options import JobOptions
from latentspace.indexing.sources.options import SourceOptions
from latentspace.sync.client import Client


def index_on_server(
    client: Client, out: Output, source: str, said: SourceOptions, options: JobOptions
) -> None:
    """Starts the import and follows it to its end; with --json, an operation a line.

    Raises:
        LatentspaceError: it is refused, or failed.
    """
    params = import_params(said, options)
    started = client.import_source(options.collection, source, params=params)
    try:
        ended = followed_operation(started, out).wait()
    except KeyboardInterrupt:
        complain(
            "it goes on without you: latentspace operations watch"
            f" {started.id} (or cancel {started.id})"
        )
        raise
    result = ended.result
    if not out.as_json:
        _summary(out, source, options, result, operation_record(ended))
    if result["failed"]:
        raise typer.Exit(ExitCode.PARTIAL)


def import_params(said: SourceOptions, options: JobOptions) -> dict[str, Any]:
    """What was said, by the names of the call; defaults are left to the server."""
    params = {
        one.name: getattr(given, one.name)
        for given, plain in ((said, SourceOptions()), (options, JobOptions("")))
        for one in fields(plain)
        if one.name not in ("collection", "embed")
        and getattr(given, one.name) != getattr(plain, one.name)
    }
    return {**params, **options.embed}


def _summary(
    out: Output, source: str, options: JobOptions, result: Any, record: dict[str, Any]
) -> None:
    for bad in result["failures"]:
        complain(f"{bad['place']}: {bad['reason']}: {bad['message']}")
    more = f"; all that failed: {result['dead_letters']}" if result["dead_letters"] else ""
    deleted = f", {result['deleted']:,} deleted" if options.delete_missing else ""
    out.say(
        f"indexed {source} of the server into {options.collection}: {result['written']:,} written,"
        f" {result['unchanged']:,} unchanged, {result['failed']:,} failed{deleted}"
        f" in {duration(result['seconds'])}{more}",
        record,
    )
