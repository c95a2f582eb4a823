"""latentspace identify"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode, UsageError, complain
from latentspace.cli.options import (
    CroppedOption,
    FileOption,
    FilterOption,
    KindOption,
    filter_of,
    inputs_of,
    lines_of,
)
from latentspace.cli.output import Output
from latentspace.errors import LatentspaceError, PartialError
from latentspace.results.embedding import Region
from latentspace.results.identification import Identified
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
    names, inputs = inputs_of(client, model, kind, lines_of(images or [], file))
    found: list[list[Identified]]
    errors: dict[int, LatentspaceError] = {}
    try:
        found = client.identify(
            collection,
            inputs=inputs,
            label=label,
            threshold=threshold,
            cropped=cropped,
            filter=tree,
        )
    except PartialError as partial:
        found, errors = cast(list[list[Identified]], partial.result), partial.errors
    out.records(_records(names, found, out.as_json), COLUMNS)
    for position, (name, faces) in enumerate(zip(names, found, strict=True)):
        if position in errors:
            complain(f"{name}: {errors[position]}")
        elif not faces:
            complain(f"{name}: nothing was found in it")
    if errors:
        raise typer.Exit(ExitCode.PARTIAL)


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


def _region(box: Region | None, whole: bool) -> dict[str, float] | str | None:
    if box is None or whole:
        return asdict(box) if box else None
    return f"{box.width:.0f}x{box.height:.0f}+{box.x:.0f}+{box.y:.0f}"
