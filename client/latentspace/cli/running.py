"""A job at a prompt: its progress, what failed, and how it ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from latentspace.cli.exits import ExitCode, complain
from latentspace.cli.failures import Failures
from latentspace.cli.output import Output
from latentspace.cli.progress import Reporter, duration, event
from latentspace.errors import DeadlineError, UnavailableError
from latentspace.indexing.engines import EngineError
from latentspace.indexing.options import (
    JobOptions,
    OnFailed,
    OnProgress,
    Progress,
    SourceError,
    TooManyErrorsError,
)
from latentspace.indexing.records import Source

AGAIN = "what is written stays; run it again to go on"

#: runs a job, here or elsewhere, and tells how it goes
Run = Callable[[OnProgress, OnFailed], Progress]


def run_told(
    out: Output, source: Source, options: JobOptions, dead_letters: Path | None, run: Run
) -> None:
    """Runs a job; its exit code says whether records failed.

    Raises:
        LatentspaceError: the server refuses it, or is away.
        typer.Exit
    """
    with Failures(out, dead_letters) as failures, _ends_told(failures):
        done = _run(out, source, options, failures, run)
    if done.failed:
        good = done.written + done.unchanged
        raise typer.Exit(ExitCode.PARTIAL if good else ExitCode.REFUSED)


def _run(
    out: Output, source: Source, options: JobOptions, failures: Failures, run: Run
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
            return run(watch, failures)
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
        left_out = dict(source.left_out())
        event(out, "summary", **where, **asdict(last), left_out=left_out, rate=round(rate, 1))
        return
    deleted = f", {last.deleted:,} deleted" if options.delete_missing else ""
    said = "indexed" if last.finished else "stopped"
    out.say(
        f"{said} {source.name} into {options.collection}: {last.written:,} written, "
        f"{last.unchanged:,} unchanged, {last.failed:,} failed{deleted} "
        f"in {duration(last.seconds)} ({rate:,.0f}/s){_left_out(source)}",
        {},
    )


def _left_out(source: Source) -> str:
    """What the source passed over on purpose, as "; left out: 2 blank lines"."""
    counts = [
        f"{count:,} {name.removesuffix('s' * (count == 1))}"
        for name, count in source.left_out().items()
    ]
    return f"; left out: {', '.join(counts)}" if counts else ""


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
    except (SourceError, TooManyErrorsError, EngineError) as error:
        complain(f"{error} ({AGAIN})")
        raise typer.Exit(ExitCode.REFUSED) from None
    finally:
        failures.tell()
