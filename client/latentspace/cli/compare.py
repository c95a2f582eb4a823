"""latentspace compare"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.options import KindOption, input_of, kind_for
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
    meant = kind_for(client, model, kind, [first, second])
    pair = (input_of(meant, first), input_of(meant, second))
    out.record(asdict(client.compare(model, pairs=[pair], threshold=threshold)[0]))


def add_compare(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "compare")(compare)
