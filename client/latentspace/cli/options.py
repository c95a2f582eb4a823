"""Options that several commands have, and what their values mean."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from latentspace.cli.exits import UsageError
from latentspace.enums import FieldType


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


def params_of(options: list[str] | None, flag: str = "--param") -> dict[str, Any]:
    """What --param says: NAME=VALUE, the value JSON, else text.

    Args:
        flag: its name, for messages.

    Raises:
        UsageError: no name, or no value.
    """
    params: dict[str, Any] = {}
    for option in options or ():
        name, sign, value = option.partition("=")
        if not sign or not name:
            raise UsageError(f"{flag} {option!r} is not NAME=VALUE")
        if name in params:
            raise UsageError(f"{flag} {name} stands there twice")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value
    return params


def templates_of(option: list[str] | None) -> str | list[str] | None:
    """What --template says: one may be a name of the server's."""
    return option[0] if option and len(option) == 1 else option or None


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
