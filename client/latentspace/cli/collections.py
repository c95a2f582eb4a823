"""latentspace collections"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.changes import list_fields, measure_recall, update_collection
from latentspace.cli.command import YesOption, command, confirm, group
from latentspace.cli.exits import UsageError
from latentspace.cli.operations import Wait, told_operation
from latentspace.cli.options import fields_of
from latentspace.cli.output import Output
from latentspace.cli.points import count_points, get_points, list_points
from latentspace.enums import Metric
from latentspace.sync.client import Client

COLUMNS = (
    "name",
    "points",
    "dim",
    "metric",
    "recipe",
    "default_recall",
    "model",
    "read_only",
    "state",
)

Name = Annotated[str, typer.Argument(help="Name or alias of a collection.")]


def list_collections(client: Client, out: Output) -> None:
    """Collections: list (the default), show, create, update, delete, ..."""
    out.records(map(asdict, client.collections()), COLUMNS)


def show_collection(client: Client, out: Output, name: Name) -> None:
    """Show all that is known of a collection."""
    out.record(asdict(client.collection(name)))


def create_collection(
    client: Client,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name of the new collection.")],
    model: Annotated[str, typer.Option(help="Model whose space it holds.")] = "",
    dim: Annotated[int, typer.Option(min=0, help="Numbers a vector, for your own vectors.")] = 0,
    metric: Annotated[Metric, typer.Option(help="How vectors are compared.")] = Metric.COSINE,
    recipe: Annotated[str, typer.Option(help="auto, exact, hnsw, ...")] = "auto",
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TYPE", help="A payload field that filters read; repeatable."),
    ] = None,
) -> None:
    """Create a collection."""
    if bool(model) == bool(dim):
        raise UsageError("pass --model (raw items are embedded with it) or --dim (own vectors)")
    made = client.create_collection(
        name, model=model, dim=dim, metric=metric, recipe=recipe, fields=fields_of(field or [])
    )
    out.say(f"created {made.name}: {made.dim} numbers, {made.metric}, {made.recipe}", asdict(made))


def delete_collection(
    client: Client,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name of a collection; an alias is refused.")],
    yes: YesOption = False,
) -> None:
    """Delete a collection and its files."""
    points = 0 if yes else client.collection(name).points
    confirm(f"Delete {name} and its {points:,} points?", yes)
    client.delete_collection(name)
    out.say(f"deleted {name}", {"deleted": name})


def optimize_collection(
    client: Client,
    out: Output,
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Into one segment.")] = False,
    wait: Wait = True,
) -> None:
    """Merge, compact and build indexes, as an operation."""
    told_operation(client.optimize(name, full=full, wait=False), out, wait)


def add_collections(app: typer.Typer) -> None:
    """Adds the group."""
    collections = group(app, "collections", list_collections)
    command(collections, "list")(list_collections)
    command(collections, "show")(show_collection)
    command(collections, "create")(create_collection)
    command(collections, "delete")(delete_collection)
    command(collections, "fields")(list_fields)
    command(collections, "update")(update_collection)
    command(collections, "recall")(measure_recall)
    command(collections, "count")(count_points)
    command(collections, "get")(get_points)
    command(collections, "points")(list_points)
    command(collections, "optimize")(optimize_collection)
