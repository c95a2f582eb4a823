"""Values of payload fields and of filters: what is accepted, and how columns hold it."""

import math
from collections.abc import Mapping
from typing import Any

import orjson

from index.columns.moments import MOMENT, microseconds
from index.errors import FilterError, InvalidPointError, SpecError
from index.filter import All, AnyOf, Condition, Filter, Not, Op
from index.types import FieldType

MODALITY = "modality"
MAX_PAYLOAD_BYTES = 64 * 1024

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_RANGES = frozenset({Op.GT, Op.GTE, Op.LT, Op.LTE})
_RANGED = frozenset({FieldType.INT, FieldType.FLOAT, FieldType.DATETIME})
_NAMES = {
    FieldType.KEYWORD: "a string",
    FieldType.KEYWORD_LIST: "a list of strings",
    FieldType.INT: "an integer of 64 bits",
    FieldType.FLOAT: "a finite number",
    FieldType.BOOL: "true or false",
    FieldType.DATETIME: MOMENT,
}


def check_fields(fields: Mapping[str, FieldType]) -> None:
    """Refuses declarations that cannot be.

    Raises:
        SpecError: naming the field.
    """
    for name in fields:
        if not name or name == MODALITY or len(name.encode()) > 128:
            raise SpecError(
                f"fields.{name}",
                f"a field cannot be called {name!r}: names have 1 to 128 bytes, "
                f"and {MODALITY!r} is every point's own",
            )


def validate_payload(payload: bytes, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    """The JSON object, its declared fields of their declared types, null or absent.

    Raises:
        InvalidPointError: naming the payload or the field.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidPointError(
            "payload", f"payload has {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES}"
        )
    try:
        parsed = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidPointError("payload", f"payload is not JSON in UTF-8: {error}") from error
    if not isinstance(parsed, dict):
        raise InvalidPointError("payload", "payload must be a JSON object")
    for name, declared in fields.items():
        value = parsed.get(name)
        if value is not None and stored(value, declared) is None:
            raise InvalidPointError(
                f"payload.{name}", f"field {name!r} is {declared}: it must be {_NAMES[declared]}"
            )
    return parsed


def stored(value: object, declared: FieldType) -> Any:
    """A JSON value as columns hold it (datetimes as Unix microseconds); None if it does not fit."""
    match declared:
        case FieldType.KEYWORD:
            return value if type(value) is str else None
        case FieldType.INT:
            return value if type(value) is int and _INT_MIN <= value <= _INT_MAX else None
        case FieldType.FLOAT:
            return _float(value)
        case FieldType.BOOL:
            return value if type(value) is bool else None
        case FieldType.DATETIME:
            return microseconds(value)
        case FieldType.KEYWORD_LIST:
            fits = type(value) is list and all(type(part) is str for part in value)
            return value if fits else None


def check_filter(filter: Filter, fields: Mapping[str, FieldType]) -> None:
    """Refuses a filter that does not fit the declared fields.

    Raises:
        FilterError: naming the field and what is declared.
    """
    match filter:
        case All(parts) | AnyOf(parts):
            for part in parts:
                check_filter(part, fields)
        case Not(part):
            check_filter(part, fields)
        case Condition():
            _check_condition(filter, fields)


def operand(value: object, declared: FieldType) -> Any:
    """A value of a checked filter as columns hold it."""
    if declared is FieldType.DATETIME:
        return microseconds(value)
    return float(value) if declared is FieldType.FLOAT else value  # type: ignore[arg-type]


def _check_condition(condition: Condition, fields: Mapping[str, FieldType]) -> None:
    name, op, value = condition.field, condition.op, condition.value
    declared = FieldType.KEYWORD if name == MODALITY else fields.get(name)
    if declared is None:
        known = ", ".join(f"{field} ({kind})" for field, kind in sorted(fields.items()))
        raise FilterError(name, f"field {name!r} is not declared; declared: {known or 'none'}")
    if op in _RANGES and declared not in _RANGED:
        raise FilterError(name, f"field {name!r} is {declared}: it has no order, so no {op}")
    if op is Op.EXISTS:
        if type(value) is not bool:
            raise FilterError(name, f"exists on field {name!r} takes true or false")
        return
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) is not (op is Op.IN):
        raise FilterError(name, f"{op} on field {name!r} takes {_takes(op)}")
    for each in values:
        if not _comparable(each, declared):
            raise FilterError(
                name,
                f"field {name!r} is {declared}: {each!r:.80} cannot be compared with it; "
                f"give {_NAMES[declared].removeprefix('a list of ')}",
            )


def _takes(op: Op) -> str:
    return "a list of values" if op is Op.IN else "one value"


def _comparable(value: object, declared: FieldType) -> bool:
    match declared:
        case FieldType.KEYWORD | FieldType.KEYWORD_LIST:
            return type(value) is str
        case FieldType.DATETIME:
            return microseconds(value) is not None
        case FieldType.FLOAT:
            return type(value) in (int, float) and not math.isnan(value)  # type: ignore[arg-type]
        case FieldType.INT:
            return stored(value, declared) is not None
        case FieldType.BOOL:
            return type(value) is bool


def _float(value: object) -> float | None:
    if type(value) not in (int, float):
        return None
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None
