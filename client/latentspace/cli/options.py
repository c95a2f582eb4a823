"""Options that several commands have, and what their values mean."""

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from latentspace.cli.exits import UsageError
from latentspace.enums import Modality
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput
from latentspace.sync.client import Client


class Kind(StrEnum):
    """What an argument stands for."""

    TEXT = "text"
    KEY = "key"
    IMAGE = "image"


FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="JSON", help='Only points that pass, as {"year": {"gte": 2010}}.'
    ),
]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="Read from this file, one a line; - is standard input."),
]
KindOption = Annotated[
    Kind | None,
    typer.Option("--as", help="What the arguments are; by default what the model takes."),
]
LimitOption = Annotated[int, typer.Option("-k", min=1, max=10_000, help="Answers for each query.")]


def filter_of(option: str | None) -> dict[str, Any] | None:
    """The object that --filter names.

    Raises:
        UsageError: it is not a JSON object.
    """
    if option is None:
        return None
    try:
        tree = json.loads(option)
    except json.JSONDecodeError as error:
        raise UsageError(f"--filter is not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError('--filter is not a JSON object, as {"year": {"gte": 2010}}')
    return tree


def lines_of(arguments: Iterable[str], file: Path | None) -> list[str]:
    """The arguments, else the lines of --file, else those of a piped standard input.

    Raises:
        UsageError: nothing is given, or the file is not text.
    """
    given = list(arguments)
    if given and file is not None:
        raise UsageError("pass arguments or --file, not both")
    if given:
        return given
    if file is None and sys.stdin.isatty():
        raise UsageError("nothing to do: pass arguments, --file, or lines on standard input")
    try:
        # a pipe is read without being asked for; a terminal never is
        if file is None or str(file) == "-":
            text = sys.stdin.read()
        else:
            text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file or 'standard input'} is not UTF-8 text ({error.reason})"
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"{file or 'standard input'} has no lines")
    return lines


def kind_for(client: Client, model: str, chosen: Kind | None) -> Kind:
    """What arguments of a model stand for, where the command line does not say."""
    if chosen is not None:
        return chosen
    modalities = client.model(model).modalities
    for kind, modality in ((Kind.KEY, Modality.KEY), (Kind.TEXT, Modality.TEXT)):
        if modality in modalities:
            return kind
    return Kind.IMAGE


def input_of(kind: Kind, value: str) -> Input:
    """An argument as an input; images are paths."""
    match kind:
        case Kind.KEY:
            return KeyInput(value)
        case Kind.IMAGE:
            return ImageInput(value)
        case _:
            return TextInput(value)
