"""latentspace compare"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode, complain
from latentspace.cli.items import reader_for
from latentspace.cli.options import KindOption
from latentspace.cli.output import Output
from latentspace.sync.client import Client


def compare(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of a model.")],
    first: Annotated[str, typer.Argument(help="A text, a word or the path of an image.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    kind: KindOption = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which they count as the same.")
    ] = None,
) -> None:
    """Compare two items."""
    reader = reader_for(client, model, kind)
    one, other = reader.read_one(first), reader.read_one(second)
    if isinstance(one, str) or isinstance(other, str):
        for name, reading in ((first, one), (second, other)):
            if isinstance(reading, str):
                complain(f"{name:.60}: {reading}")
        raise typer.Exit(ExitCode.REFUSED)
    record = asdict(client.compare(model, pairs=[(one, other)], threshold=threshold)[0])
    if out.as_json:
        out.record(record)
        return
    out.record({name: value for name, value in record.items() if value is not None})
    if record["threshold"] is None:
        complain(
            f"{model} has no calibrated threshold: pass --threshold SCORE to have them called the"
            " same from that score on"
        )


def add_compare(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "compare")(compare)
