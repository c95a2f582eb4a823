"""latentspace points"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from latentspace.cli.command import YesOption, command, confirm, subcommands
from latentspace.cli.exits import UsageError
from latentspace.cli.items import Items
from latentspace.cli.lines import lines_of
from latentspace.cli.options import FileOption, FilterOption, filter_of
from latentspace.cli.output import Output
from latentspace.errors import LatentspaceError, PartialError
from latentspace.payloads import DIGEST_FIELD
from latentspace.results.point import Point
from latentspace.sync.client import Client

Name = Annotated[str, typer.Argument(help="Name or alias of a collection.")]
WithVectors = Annotated[bool, typer.Option("--with-vectors", help="Return vectors too.")]


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


def get_points(
    client: Client,
    out: Output,
    name: Name,
    ids: Annotated[list[str], typer.Argument(help="Ids of points.")],
    with_vectors: WithVectors = False,
) -> None:
    """Show points by their ids."""
    points: Sequence[Point]
    errors: dict[int, LatentspaceError] = {}
    try:
        points = client.get(name, ids, with_vectors=with_vectors)
    except PartialError as partial:
        points, errors = cast(list[Point], partial.result), partial.errors
    _show(out, points, with_vectors)
    Items.named(ids).end(errors)


def count_points(client: Client, out: Output, name: Name, filter: FilterOption = None) -> None:
    """Count points."""
    number = client.count(name, filter=filter_of(filter))
    out.say(str(number), {"collection": name, "count": number})


def delete_points(
    client: Client,
    out: Output,
    name: Name,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of points.")] = None,
    file: FileOption = None,
    filter: FilterOption = None,
    yes: YesOption = False,
) -> None:
    """Delete points by their ids, or all that pass a filter; the others stay.

    Ids that the collection does not have are passed over, and the count says so.
    """
    tree = filter_of(filter)
    chosen = _chosen(ids or [], file, has_filter=tree is not None)
    number = len(chosen) if tree is None else client.count(name, filter=tree)
    confirm(f"Delete {number:,} point{'s' * (number != 1)} of {name}?", yes)
    deleted = client.delete(name, chosen) if tree is None else client.delete(name, filter=tree)
    of = f" of {len(chosen):,}" if tree is None and deleted != len(chosen) else ""
    points = f"point{'s' * (len(chosen) != 1 or tree is not None)}"
    out.say(f"deleted {deleted:,}{of} {points} of {name}", {"collection": name, "deleted": deleted})


def add_points(app: typer.Typer) -> None:
    """Adds the group."""
    points = subcommands(app, "points", "Points of a collection: list, get, count, delete.")
    command(points, "list")(list_points)
    command(points, "get")(get_points)
    command(points, "count")(count_points)
    command(points, "delete")(delete_points)


def point_record(point: Point, with_vectors: bool, *, whole: bool = True) -> dict[str, Any]:
    """A point as it is printed; where it need not be whole, without the digest of a job."""
    payload = point.payload
    if payload and not whole:
        payload = {name: value for name, value in payload.items() if name != DIGEST_FIELD}
    record = {"id": point.id, "payload": payload, "modality": point.modality}
    return {**record, "vector": point.vector} if with_vectors else record


def _chosen(ids: list[str], file: Path | None, *, has_filter: bool) -> list[str]:
    """Distinct ids; nothing is read from a pipe that --file does not name."""
    if bool(ids or file) == has_filter:
        raise UsageError("pass ids, --file or --filter: one of them says which points")
    return [] if has_filter else list(dict.fromkeys(lines_of(ids, file).items))


def _show(out: Output, points: Iterable[Point], with_vectors: bool) -> None:
    out.records(
        (point_record(point, with_vectors, whole=out.as_json) for point in points),
        ("id", "payload", "modality", *(["vector"] if with_vectors else [])),
    )
