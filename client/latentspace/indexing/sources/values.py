"""Values of tables as JSON has them."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

# beyond, a decimal is a number of this size, not an integer of so many digits
_WHOLE = 10**40


def plain(value: object) -> Any:
    """A value of JSON.

    Times are written as RFC 3339, in UTC where they name no zone; NaN is null, as pandas writes
    it; decimals are numbers, UUIDs text, and numpy values the numbers and lists they hold.

    Raises:
        ValueError: JSON has nothing for it: bytes, infinities, durations, broken Unicode.
    """
    match value:
        case str():
            return unicode(value)
        case None | bool() | int():
            return value
        case float():
            return _finite(value)
        case Mapping():
            return {unicode(str(name)): plain(one) for name, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case Decimal():
            whole = value.is_finite() and value == value.to_integral_value()
            return int(value) if whole and abs(value) < _WHOLE else _finite(float(value))
        case UUID():
            return str(value)
        case np.datetime64():
            return plain(value.astype("datetime64[us]").item())
        case np.generic() | np.ndarray():
            return plain(value.tolist())
    raise ValueError(f"values of type {type(value).__name__} are not JSON")


def unicode(value: str) -> str:
    """The same text.

    Raises:
        ValueError: it has half a surrogate pair, which UTF-8 cannot write.
    """
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{value!r:.80} is not valid Unicode") from error
    return value


def _finite(value: float) -> float | None:
    if math.isinf(value):
        raise ValueError("infinite numbers are not JSON")
    return None if math.isnan(value) else float(value)
