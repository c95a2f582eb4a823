"""latentspace evaluate"""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError, complain
from latentspace.cli.operations import ended_operation, operation_record
from latentspace.cli.options import ParamOption, params_of
from latentspace.cli.output import Output
from latentspace.enums import Task
from latentspace.results.evaluation import EvaluationReport
from latentspace.sync.client import Client

COLUMNS = ("figure", "value", "95 % from", "to", "items")


def evaluate(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of a model.")],
    task: Annotated[str, typer.Argument(help=f"A published protocol: {', '.join(Task)}.")],
    source: Annotated[
        str,
        typer.Option(help="File or folder that the server can see; else the built-in set."),
    ] = "",
    param: ParamOption = None,
    wait: Annotated[bool, typer.Option(help="Wait for the figures.")] = True,
) -> None:
    """Measure a model by a published protocol; figures with 95 % intervals."""
    if task not in set(Task):
        raise UsageError(f"{task!r} is not a task: one of {', '.join(Task)}")
    params = params_of(param)
    started = client.start_evaluation(model, Task(task), source=source, params=params)
    if not wait:
        out.say(f"{started.id} is {started.state}", operation_record(started))
        return
    report = EvaluationReport.from_result(ended_operation(started, out).result)
    if out.as_json:
        out.record(asdict(report))
        return
    out.records((_row(one) for one in asdict(report)["figures"]), COLUMNS)
    # the table may go to a pipe; what it leaves out is for people
    complain(f"{model} could answer {report.coverage:.1%} of the items (space {report.space_id})")


def add_evaluate(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "evaluate")(evaluate)


def _row(figure: dict[str, Any]) -> dict[str, Any]:
    names = dict(zip(("name", "value", "low", "high", "items"), COLUMNS, strict=True))
    return {names[name]: value for name, value in figure.items()}
