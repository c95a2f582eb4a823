"""Payloads: dicts here, JSON in UTF-8 on the wire."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from latentspace.errors import FieldViolation, InvalidArgumentError

Payload = Mapping[str, Any]

#: payload key of a point that holds the digest of what an indexing job made it from
DIGEST_FIELD = "_digest"
#: longer texts are not kept in payloads: letters have up to 4 bytes, and a payload 64 KiB
KEPT_CHARACTERS = 16_000
# pandas' missing values, by name since the client does without pandas
_MISSING = frozenset({"NAType", "NaTType"})


def dump_payload(payload: Payload | None, name: str = "payload") -> bytes:
    """A payload as JSON; None is {}.

    Datetimes and `numpy.datetime64` (in UTC) are written as RFC 3339, dates as "2024-01-05", numpy
    values, arrays and Decimals as numbers, NaT and pandas' NA as null.

    Raises:
        InvalidArgumentError: not an object, or of values that JSON does not have; names the place.
    """
    if payload is None:
        return b"{}"
    if not isinstance(payload, Mapping):
        raise InvalidArgumentError(f"{name}: expected an object, got {payload!r:.60}")
    try:
        # NaN is refused here, where the caller's line is near; JSON has none
        text = json.dumps(
            payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        place = next(_not_finite(payload, name), None) if type(error) is ValueError else None
        problem = f"cannot be written as JSON ({error})"
        if place is not None:
            problem = "NaN and infinity are not JSON; leave the key out, or write None"
        raise InvalidArgumentError(
            f"{place or name}: {problem}", field_violations=[FieldViolation(place or name, problem)]
        ) from error


def load_payload(data: bytes) -> dict[str, Any]:
    """A payload from the wire; nothing is {}."""
    payload: dict[str, Any] = json.loads(data) if data else {}
    return payload


def load_shown_payload(data: bytes) -> dict[str, Any]:
    """A payload as hits show it: without the digest of an indexing job."""
    payload = load_payload(data)
    payload.pop(DIGEST_FIELD, None)
    return payload


def plain_value(value: np.generic) -> object:
    """A numpy value as one of Python; a moment as an RFC 3339 string in UTC, NaT as None.

    Raises:
        TypeError: a length of time or a complex number.
    """
    match value:
        case np.timedelta64():  # it counts among the integers
            raise TypeError(f"{value!r} is a length of time: write a number of seconds")
        case np.datetime64():
            return None if np.isnat(value) else _rfc3339(value)
        case np.complexfloating():
            raise TypeError(f"{value} is a complex number: write two numbers")
    return value.item()


def _plain(value: object) -> object:
    if type(value).__name__ in _MISSING:
        return None
    match value:
        case datetime() if value.utcoffset() is None:
            raise TypeError(
                f"{value.isoformat()} has no time zone: write value.replace(tzinfo=UTC)"
            )
        case datetime() | date():
            return value.isoformat()
        case np.generic():
            return plain_value(value)
        case np.ndarray():
            # lists of times would be numbers
            return list(value) if value.ndim and value.dtype.kind in "mMcO" else value.tolist()
        case Decimal():
            return float(value)
        case Mapping():
            return dict(value)
    raise TypeError(
        f"values of type {type(value).__name__} are not JSON: write str(value) or a list"
    )


def _rfc3339(value: np.datetime64) -> str:
    """With the digits that its unit has; a day is its midnight."""
    seconds = value.astype("datetime64[s]")
    fraction = str(value)[19:] if np.datetime_data(value.dtype)[0] in ("ms", "us", "ns") else ""
    return f"{seconds}{fraction}Z"


def _not_finite(value: object, path: str) -> Iterator[str]:
    """Paths of NaN and infinity."""
    parts: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        parts = ((f"{path}.{name}", part) for name, part in value.items())
    elif isinstance(value, list | tuple | np.ndarray) and np.ndim(value):
        parts = ((f"{path}[{i}]", part) for i, part in enumerate(value))
    elif isinstance(value, float | np.floating | Decimal) and not math.isfinite(value):
        yield path
    for place, part in parts:
        yield from _not_finite(part, place)
