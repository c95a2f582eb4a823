"""latentspace operations"""

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from latentspace.cli.command import command, group
from latentspace.cli.exits import UsageError, complain
from latentspace.cli.output import Output
from latentspace.cli.progress import age_text, duration
from latentspace.enums import OperationState
from latentspace.results.operation import OperationData
from latentspace.results.operation import Progress as OperationProgress
from latentspace.sync.client import Client
from latentspace.sync.operations import Operation

COLUMNS = ("id", "kind", "target", "state", "done", "total", "unit", "create_time", "error")
# its id begins with its kind, and `show` has the rest
SHOWN = ("id", "target", "state", "progress", "age")

KINDS = ("change_recipe", "evaluate", "import", "optimize", "restore", "snapshot", "train")

Id = Annotated[str, typer.Argument(help="Id of an operation.")]
Wait = Annotated[bool, typer.Option(help="Wait for the end.")]


def recent_operations(client: Client, out: Output) -> None:
    """Long work: list (the default), show, watch, cancel."""
    list_operations(client, out)


def list_operations(
    client: Client,
    out: Output,
    kind: Annotated[str, typer.Option(help=f"Only one of {', '.join(KINDS)}.")] = "",
    state: Annotated[OperationState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List operations, newest first."""
    if kind and kind not in KINDS:
        raise UsageError(f"--kind {kind}: one of {', '.join(KINDS)}")
    found = client.operations(kind=kind, state=state, limit=limit)
    records = (operation_record(one) for one in found)
    if out.is_table:
        out.records(map(_shown, records), SHOWN)
    else:
        out.records(({**one, **one["progress"]} for one in records), COLUMNS)


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """An operation in a table: how far it is as "3/5 epochs", when it was made as "2h"."""
    progress = record["progress"]
    of = f"/{progress['total']:,}" if progress["total"] else ""
    counts = f"{progress['done']:,}{of} {progress['unit']}" if progress["done"] else ""
    age = datetime.now(UTC) - record["create_time"] if record["create_time"] else None
    return {**record, "progress": counts, "age": age and age_text(age.total_seconds())}


def show_operation(client: Client, out: Output, id: Id) -> None:
    """Show all that is known of an operation."""
    out.record(operation_record(client.operation(id)))


def watch_operation(client: Client, out: Output, id: Id) -> None:
    """Follow an operation until it ends; its failure is this command's."""
    last = followed_operation(client.operation(id), out)
    last.wait()
    if not out.as_json:
        out.record(operation_record(last))


def cancel_operation(client: Client, out: Output, id: Id) -> None:
    """Stop an operation."""
    cancelled = client.cancel_operation(id)
    out.say(f"{cancelled.id} is {cancelled.state}", operation_record(cancelled))


def add_operations(app: typer.Typer) -> None:
    """Adds the group."""
    operations = group(app, "operations", recent_operations)
    command(operations, "list")(list_operations)
    command(operations, "show")(show_operation)
    command(operations, "watch")(watch_operation)
    command(operations, "cancel")(cancel_operation)


def operation_record(operation: OperationData) -> dict[str, Any]:
    """An operation as it is printed."""
    record = {one.name: getattr(operation, one.name) for one in fields(OperationData)}
    error = None if operation.error is None else str(operation.error)
    return {**record, "progress": asdict(operation.progress), "error": error}


def ended_operation(
    started: Operation, out: Output, tell: Callable[[OperationProgress], None] | None = None
) -> Operation:
    """The operation at its end, followed on a terminal; who leaves before is told how to return.

    Args:
        tell: how --json tells of its progress; by default what it ended in is the only output.

    Raises:
        LatentspaceError: it failed, or was cancelled.
    """
    try:
        last = started
        if not out.as_json:
            last = followed_operation(started, out)
        elif tell is not None:
            for last in started.watch():
                tell(last.progress)
        return last.wait()
    except KeyboardInterrupt:
        complain(
            f"it goes on without you: latentspace operations watch {started.id}"
            f" (or cancel {started.id})"
        )
        raise


def told_operation(started: Operation, out: Output, wait: bool) -> None:
    """Waits for the end where that is wanted, and tells what came of it."""
    if not wait:
        out.say(f"{started.id} is {started.state}", operation_record(started))
        return
    ended = ended_operation(started, out)
    if out.as_json:
        out.record(operation_record(ended))
    else:
        out.record(ended.result or {"state": ended.state})


def followed_operation(operation: Operation, out: Output) -> Operation:
    """The operation at its end; its progress is shown as it goes."""
    last = operation
    if out.as_json:
        for last in operation.watch():
            out.records([operation_record(last)], ())
        return last
    # on standard error: what is printed at the end may go to a pipe
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"{operation.kind} {operation.target}", total=None, told="")
        for last in operation.watch():
            _advance(bars, bar, last)
    return last


def _advance(bars: Progress, bar: TaskID, operation: OperationData) -> None:
    known = operation.progress
    bars.update(
        bar,
        description=f"{operation.kind} {operation.target}: {known.stage or operation.state}",
        completed=known.done,
        total=known.total or None,
        told=progress_text(known),
    )


def progress_text(known: OperationProgress) -> str:
    """Counts, time left and figures of an operation: "3 of 5 epochs, 2:05 left, loss 0.31"."""
    of = f" of {known.total:,}" if known.total else ""
    parts = [
        *([f"{known.done:,}{of} {known.unit}"] if known.total or known.done else []),
        *([] if known.eta_ms is None else [f"{duration(known.eta_ms / 1000)} left"]),
        *(f"{name} {_figure(value)}" for name, value in sorted(known.metrics.items())),
    ]
    return ", ".join(parts)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
