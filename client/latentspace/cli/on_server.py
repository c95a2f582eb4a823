"""`latentspace index --on-server`: the server reads the source itself."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import typer

from latentspace.cli.exits import ExitCode, complain
from latentspace.cli.operations import ended_operation
from latentspace.cli.output import Output
from latentspace.cli.progress import duration, event
from latentspace.indexing.options import JobOptions
from latentspace.indexing.sources.options import SourceOptions
from latentspace.results.operation import Progress
from latentspace.sync.client import Client

COUNTS = ("written", "unchanged", "failed")


def index_on_server(
    client: Client, out: Output, source: str, said: SourceOptions, options: JobOptions
) -> None:
    """Starts the import and follows it to its end.

    Raises:
        LatentspaceError: it is refused, or failed.
    """
    params = import_params(said, options)
    started = client.import_source(options.collection, source, params=params)
    result = ended_operation(started, out, partial(_event, out)).result
    if out.as_json:
        _events(out, source, result)
    else:
        _summary(out, source, options, result)
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


def _event(out: Output, known: Progress) -> None:
    """As a job tells it; the server tells no more than ten times a second."""
    counts = {name: int(known.metrics[name]) for name in COUNTS if name in known.metrics}
    eta_s = None if known.eta_ms is None else known.eta_ms / 1000
    numbers = {"done": known.done, "total": known.total or None, "eta_s": eta_s}
    event(out, "progress", **numbers, rate=known.metrics.get("rate", 0.0), **counts)


def _events(out: Output, source: str, result: Mapping[str, Any]) -> None:
    for bad in result["failures"]:
        event(out, "failed", **bad)
    told = {name: value for name, value in result.items() if name != "failures"}
    event(out, "summary", source=source, **told, finished=True)


def _summary(out: Output, source: str, options: JobOptions, result: Mapping[str, Any]) -> None:
    for bad in result["failures"]:
        complain(f"{bad['place']}: {bad['reason']}: {bad['message']}")
    more = f"; all that failed: {result['dead_letters']}" if result["dead_letters"] else ""
    deleted = f", {result['deleted']:,} deleted" if options.delete_missing else ""
    out.say(
        f"indexed {source} of the server into {options.collection}: {result['written']:,} written,"
        f" {result['unchanged']:,} unchanged, {result['failed']:,} failed{deleted}"
        f" in {duration(result['seconds'])}{more}",
        {},
    )
