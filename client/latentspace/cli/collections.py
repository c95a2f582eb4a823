"""latentspace collections"""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, cast

import typer

from latentspace.cli.command import command, group
from latentspace.cli.exits import UsageError
from latentspace.cli.items import Items
from latentspace.cli.operations import Wait, told_operation
from latentspace.cli.options import FilterOption, filter_of
from latentspace.cli.output import Output
from latentspace.enums import FieldType, Metric
from latentspace.errors import LatentspaceError, PartialError
from latentspace.payloads import DIGEST_FIELD
from latentspace.results.point import Point
from latentspace.sync.client import Client

COLUMNS = ("name", "points", "dim", "metric", "recipe", "model", "read_only", "state")

Name = Annotated[str, typer.Argument(help="Name or alias of a collection.")]
WithVectors = Annotated[bool, typer.Option("--with-vectors", help="Return vectors too.")]


def list_collections(client: Client, out: Output) -> None:
    """Collections: list (the default), show, create, delete, count, get, points."""
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a collection and its files."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("deleting cannot be undone: pass --yes")
        points = client.collection(name).points
        typer.confirm(f"Delete {name} and its {points} points?", abort=True)
    client.delete_collection(name)
    out.say(f"deleted {name}", {"deleted": name})


def count_points(client: Client, out: Output, name: Name, filter: FilterOption = None) -> None:
    """Count points."""
    number = client.count(name, filter=filter_of(filter))
    out.say(str(number), {"collection": name, "count": number})


def get_points(
    client: Client,
    out: Output,
    name: Name,
    ids: Annotated[list[str], typer.Argument(help="Ids of points.")],
    with_vectors: WithVectors = False,
) -> None:
    """Show points by their ids."""
    points: list[Point]
    errors: dict[int, LatentspaceError] = {}
    try:
        points = client.get(name, ids, with_vectors=with_vectors)
    except PartialError as partial:
        points, errors = cast(list[Point], partial.result), partial.errors
    _show(out, points, with_vectors)
    Items.named(ids).end(errors)


def list_points(
    client: Client,
    out: Output,
    name: Name,
    filter: FilterOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    with_vectors: WithVectors = False,
) -> None:
    """List points in the order of their writing."""
    points = client.scroll(
        name, filter=filter_of(filter), page_size=min(limit, 500), with_vectors=with_vectors
    )
    _show(out, islice(points, limit), with_vectors)


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
    command(collections, "count")(count_points)
    command(collections, "get")(get_points)
    command(collections, "points")(list_points)
    command(collections, "optimize")(optimize_collection)


def _show(out: Output, points: Iterable[Point], with_vectors: bool) -> None:
    out.records(
        (point_record(point, with_vectors, whole=out.as_json) for point in points),
        ("id", "payload", "modality", *(["vector"] if with_vectors else [])),
    )


def point_record(point: Point, with_vectors: bool, *, whole: bool = True) -> dict[str, Any]:
    """A point as it is printed; where it need not be whole, without the digest of a job."""
    payload = point.payload
    if payload and not whole:
        payload = {name: value for name, value in payload.items() if name != DIGEST_FIELD}
    record = {"id": point.id, "payload": payload, "modality": point.modality}
    return {**record, "vector": point.vector} if with_vectors else record


def fields_of(declared: list[str]) -> dict[str, str]:
    """Declared fields, as NAME=TYPE.

    Raises:
        UsageError
    """
    fields = {}
    for one in declared:
        name, sign, kind = one.rpartition("=")
        if not sign or kind not in set(FieldType):
            raise UsageError(
                f"--field {one}: expected NAME=TYPE, TYPE one of {', '.join(FieldType)}"
            )
        fields[name] = kind
    return fields
