"""Options that several commands have, and what their values mean."""

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from latentspace.cli.exits import UsageError


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
    typer.Option("--as", help="What the arguments are; by default what they seem to be."),
]
TemplateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        help='A sentence with "{}", repeatable; or the name of a template set, as imagenet.',
    ),
]
CroppedOption = Annotated[
    bool, typer.Option("--cropped", help="Images are crops already: detect nothing.")
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the work; repeatable."),
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


def params_of(options: list[str] | None) -> dict[str, Any]:
    """What --param says: NAME=VALUE, the value JSON, else text.

    Raises:
        UsageError: no name, or no value.
    """
    params: dict[str, Any] = {}
    for option in options or ():
        name, sign, value = option.partition("=")
        if not sign or not name:
            raise UsageError(f"--param {option!r} is not NAME=VALUE")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value
    return params


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


def templates_of(option: list[str] | None) -> str | list[str] | None:
    """What --template says: one may be a name of the server's."""
    return option[0] if option and len(option) == 1 else option or None
