"""Options of models and parameters of trainers, read from the mappings that users write."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from embedders.errors import OptionError

T = TypeVar("T")

#: `__pydantic_config__` of dataclasses of options: unknown names are refused
STRICT = ConfigDict(extra="forbid")


def read_options(kind: type[T], values: Mapping[str, Any], what: str) -> T:
    """An instance of the dataclass `kind` from `values`, its numbers within their bounds.

    Args:
        what: whose options they are, for the message ("model 'words'").

    Raises:
        OptionError: an unknown name, or a value that does not fit; names the option.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        # one fault is enough to act on, and its message stays one line
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(sorted(option.name for option in fields(kind)))  # type: ignore[arg-type]
        reason = first["msg"][:1].lower() + first["msg"][1:]
        message = f"{what}: {name}: {reason}; options: {known}"
        raise OptionError(name, message) from None


@dataclass(frozen=True, slots=True)
class NamesFile:
    """Marks an option that names a file, so that a server reads it only where it may.

    Written as `Annotated[str, NamesFile()]`.

    Args:
        builtin: values that name no file.
    """

    builtin: tuple[str, ...] = ()


def file_options(kind: type[Any]) -> dict[str, NamesFile]:
    """Options of a dataclass that name files."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, NamesFile):
                found[name] = mark
    return found
