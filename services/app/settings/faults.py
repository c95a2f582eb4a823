"""Faults of settings as sentences that name the cure."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.app.settings.layers import Layer, Name, Origin, layer_of
from services.app.settings.names import hint

QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
MIB = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1, "g": 1024, "t": 1 << 20}
NUMBERS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
}
KINDS = {
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of settings",
    "model_attributes_type": "a mapping of settings",
    "string_type": "a text",
    "path_type": "a path",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}
BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def sentences(error: ValidationError, layers: Sequence[Layer]) -> list[str]:
    """One sentence a fault: where it stands, the setting, what is wrong, the cure."""
    return [sentence(fault, layers) for fault in error.errors()]


def sentence(fault: ErrorDetails, layers: Sequence[Layer]) -> str:
    """`config.yaml: limits.max_items: ...`, or the variable or option in place of the file."""
    name: Name = tuple(map(str, fault["loc"]))
    layer = layer_of(layers, name[:-1] if fault["type"] == "missing" else name)
    dotted = ".".join(name)
    where = f"{layer.source(name)}: {dotted}" if layer.origin is not Origin.DEFAULT else dotted
    return f"{where}: {reason(fault, name, layer)}"


def reason(fault: ErrorDetails, name: Name, layer: Layer) -> str:
    """What is wrong with a value, and what to write."""
    kind, value = fault["type"], fault["input"]
    shown = repr(value)
    if "@" in shown:  # it may be the URL of a Redis, with its password
        shown = "the value"
    if kind == "extra_forbidden":
        return f"there is no such setting; {hint(name)}"
    if kind == "missing":
        return "is missing; each model needs it" if name[0] == "models" else "is missing"
    if kind in NUMBERS:
        return f"{shown} is not {NUMBERS[kind]}{unit(name[-1], value)}"
    if kind in KINDS:
        return f"{shown} is not {KINDS[kind]}{as_json(kind, value, name, layer)}"
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        return f"{shown} is out of range: {words} {fault['ctx'][key]}"
    if kind == "literal_error":
        return f"{shown} is not one of {fault['ctx']['expected']}"
    if kind == "value_error":  # of our own validators: a sentence already
        return str(fault["ctx"]["error"])
    return fault["msg"]


def unit(setting: str, value: Any) -> str:
    """How to write a quantity, by the unit that the name ends with."""
    for ending, (words, example) in UNITS.items():
        if setting.endswith(ending):
            return f": {words}, without a unit, such as {example(value)}"
    return ""


def in_mib(value: Any) -> str:
    """`1GB` as its number of MiB; 1024 of what is no quantity."""
    match = QUANTITY.fullmatch(str(value))
    if match is None:
        return "1024"
    mib = float(match[1]) * MIB[match[2].lower()]
    return f"{max(1, round(mib))}"


UNITS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "_mib": ("MiB (1 GiB is 1024)", in_mib),
    "_s": ("seconds", lambda _: "30"),
}


def as_json(kind: str, value: Any, name: Name, layer: Layer) -> str:
    """How a variable writes a list or a mapping."""
    if kind == "list_type" and layer.origin is Origin.ENVIRONMENT:
        return f" in JSON; write {layer.source(name)}='[\"{value}\"]'"
    if kind == "list_type":
        return f"; write {name[-1]}: [{value}]"
    if kind in ("dict_type", "model_type") and layer.origin is Origin.ENVIRONMENT:
        return f" in JSON, such as {layer.source(name)}='{{\"NAME\": ...}}'"
    return ""
