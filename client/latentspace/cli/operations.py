"""latentspace operations"""

from dataclasses import asdict, fields
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from latentspace.cli.command import command, group
from latentspace.cli.output import Output
from latentspace.enums import OperationState
from latentspace.results.operation import OperationData
from latentspace.sync.client import Client
from latentspace.sync.operations import Operation

COLUMNS = ("id", "kind", "target", "state", "done", "total", "unit", "create_time", "error")

Id = Annotated[str, typer.Argument(help="Id of an operation.")]


def recent_operations(client: Client, out: Output) -> None:
    """Long work: list (the default), show, watch, cancel."""
    list_operations(client, out)


def list_operations(
    client: Client,
    out: Output,
    kind: Annotated[str, typer.Option(help="Only optimize, train, evaluate, ...")] = "",
    state: Annotated[OperationState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List operations, newest first."""
    found = client.operations(kind=kind, state=state, limit=limit)
    records = (operation_record(one) for one in found)
    out.records(({**one, **one["progress"]} for one in records), COLUMNS)


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


def followed_operation(operation: Operation, out: Output) -> Operation:
    """The operation at its end; its progress is shown as it goes."""
    last = operation
    if out.as_json:
        for last in operation.watch():
            out.records([operation_record(last)], ())
        return last
    # on standard error: what is printed at the end may go to a pipe
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"{operation.kind} {operation.target}", total=None)
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
    )
