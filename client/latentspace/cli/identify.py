"""latentspace identify"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError, complain
from latentspace.cli.items import read_items
from latentspace.cli.options import (
    CroppedOption,
    FileOption,
    FilterOption,
    KindOption,
    filter_of,
)
from latentspace.cli.output import Output
from latentspace.errors import LatentspaceError, NotFoundError, PartialError
from latentspace.results.embedding import Region
from latentspace.results.identification import Identified
from latentspace.results.search import Match
from latentspace.sync.client import Client

COLUMNS = ("input", "name", "score", "region")


def identify(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="The gallery: points of known faces.")],
    images: Annotated[
        list[str] | None, typer.Argument(help="Photos, or folders of photos.")
    ] = None,
    file: FileOption = None,
    kind: KindOption = None,
    label: Annotated[
        str | None, typer.Option(help="Payload field that names a point; else its id does.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a face is known; else the model's own.")
    ] = None,
    cropped: CroppedOption = False,
    filter: FilterOption = None,
) -> None:
    """Name the faces in photos after the points of a gallery; others are unknown."""
    tree = filter_of(filter)
    model = client.collection(collection).model
    if not model:
        raise UsageError(f"{collection} has no model that could embed photos")
    read = read_items(client, model, kind, images or [], file)
    found: list[list[Identified]]
    errors: dict[int, LatentspaceError] = {}
    try:
        with read.sending():
            found = client.identify(
                collection,
                inputs=read.inputs,
                label=label,
                threshold=threshold,
                cropped=cropped,
                filter=tree,
            )
    except PartialError as partial:
        found, errors = cast(list[list[Identified]], partial.result), dict(partial.errors)
    out.records(_records(read.sent_names, found, out.as_json), COLUMNS)
    for position, faces in enumerate(found):
        if position not in errors and not faces:
            complain(f"{read.sent_names[position]}: nothing was found in it")
        if label is not None and (nameless := _nameless(faces)):
            errors.setdefault(position, _no_label(label, nameless))
    read.end(errors)


def add_identify(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "identify")(identify)


def _records(
    inputs: Sequence[str], found: Sequence[Sequence[Identified]], whole: bool
) -> Iterator[dict[str, Any]]:
    for name, faces in zip(inputs, found, strict=True):
        for face in faces:
            yield {
                "input": name,
                # programs tell an unknown face by null, people by the word
                "name": face.name if whole else face.name or face.id or "unknown",
                "id": face.id,
                "score": face.score,
                "threshold": face.threshold,
                "region": _region(face.region, whole),
            }


def _nameless(faces: Sequence[Identified]) -> Match | None:
    """The point of the first face that is known and has no name."""
    return next((one.nearest[0] for one in faces if one.id is not None and one.name is None), None)


def _no_label(label: str, match: Match) -> LatentspaceError:
    """A face is known, and its point does not say whose it is: most likely a misspelt --label."""
    fields = ", ".join(sorted(match.payload or {}))
    return NotFoundError(
        f"its face is known, but point {match.id!r} has no payload field {label!r} (--label);"
        f" it has: {fields or 'none'}"
    )


def _region(box: Region | None, whole: bool) -> dict[str, float] | str | None:
    if box is None or whole:
        return asdict(box) if box else None
    return f"{box.width:.0f}x{box.height:.0f}+{box.x:.0f}+{box.y:.0f}"
