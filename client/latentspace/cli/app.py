"""The tree of commands."""

from importlib.metadata import version
from typing import Annotated

import typer

from latentspace.cli.alias import add_alias
from latentspace.cli.analogy import add_analogy
from latentspace.cli.classify import add_classify
from latentspace.cli.collections import add_collections
from latentspace.cli.command import ServerOption, remember_server
from latentspace.cli.compare import add_compare
from latentspace.cli.embed import add_embed
from latentspace.cli.evaluate import add_evaluate
from latentspace.cli.exits import new_app
from latentspace.cli.export import add_export
from latentspace.cli.health import add_health
from latentspace.cli.identify import add_identify
from latentspace.cli.index import add_index
from latentspace.cli.labels import add_labels
from latentspace.cli.models import add_models
from latentspace.cli.operations import add_operations
from latentspace.cli.plugins import add_plugins
from latentspace.cli.points import add_points
from latentspace.cli.search import add_search
from latentspace.cli.snapshots import add_snapshots

app = new_app(
    help="Embeddings, vector collections and the queries between them.", no_args_is_help=True
)


def show_version(wanted: bool) -> None:
    """Prints the version and ends."""
    if wanted:
        print(version("latentspace"))
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    server: ServerOption = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Embeddings, vector collections and the queries between them."""
    remember_server(ctx, server)


for add in (
    add_models,
    add_collections,
    add_points,
    add_snapshots,
    add_alias,
    add_embed,
    add_index,
    add_export,
    add_search,
    add_analogy,
    add_classify,
    add_labels,
    add_compare,
    add_identify,
    add_evaluate,
    add_operations,
    add_health,
    add_plugins,
):
    add(app)
