"""Payloads: dicts here, JSON in UTF-8 on the wire."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from latentspace.errors import InvalidArgumentError

Payload = Mapping[str, Any]

#: payload key of a point that holds the digest of what an indexing job made it from
DIGEST_FIELD = "_digest"


def dump_payload(payload: Payload | None, name: str = "payload") -> bytes:
    """A payload as JSON; None is {}. Datetimes are written as RFC 3339, numpy values as numbers.

    Raises:
        InvalidArgumentError: not an object, or of values that JSON does not have.
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
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: cannot be written as JSON ({error})") from error


def load_payload(data: bytes) -> dict[str, Any]:
    """A payload from the wire; nothing is {}."""
    payload: dict[str, Any] = json.loads(data) if data else {}
    return payload


def load_shown_payload(data: bytes) -> dict[str, Any]:
    """A payload as hits show it: without the digest of an indexing job."""
    payload = load_payload(data)
    payload.pop(DIGEST_FIELD, None)
    return payload


def _plain(value: object) -> object:
    match value:
        case datetime() if value.utcoffset() is None:
            raise TypeError(f"{value.isoformat()} has no time zone")
        case datetime():
            return value.isoformat()
        case np.generic():
            return value.item()
        case np.ndarray():
            return value.tolist()
        case Mapping():
            return dict(value)
    raise TypeError(f"values of type {type(value).__name__} are not JSON")
