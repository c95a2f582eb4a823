"""Options of models and parameters of trainers, read from the mappings that users write."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

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
