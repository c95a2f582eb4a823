"""latentspace export"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError
from latentspace.cli.options import FilterOption, filter_of
from latentspace.cli.output import Output
from latentspace.cli.progress import Reporter, event
from latentspace.indexing.export_format import ExportError
from latentspace.sync.client import Client


def export(
    client: Client,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name or alias of a collection.")],
    path: Annotated[
        Path,
        typer.Option(
            "--out", help="A file that ends in .parquet, or a folder for vectors.npy and ids."
        ),
    ],
    filter: FilterOption = None,
    columns: Annotated[
        bool, typer.Option("--columns", help="Declared fields as columns of their own (Parquet).")
    ] = False,
) -> None:
    """Write a collection to a file, whole or not at all; `index` reads it again."""
    tree = filter_of(filter)
    total = client.count(name, filter=tree)
    try:
        with Reporter(out, f"export {name}") as reporter:
            done = client.export(
                name,
                path,
                filter=tree,
                columns=columns,
                on_points=lambda points: reporter.update(points, total),
            )
    except ExportError as error:
        raise UsageError(str(error)) from error
    if out.as_json:
        event(out, "summary", path=str(path), points=done.points, **asdict(done.about))
    else:
        out.say(f"wrote {path}: {done.points:,} points of {done.about.dim} numbers", {})


def add_export(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "export")(export)
