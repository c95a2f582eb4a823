"""Moments in payloads and filters: RFC 3339 strings, dates and seconds since 1970.

A date alone is its midnight in UTC. A leap second (23:59:60 in UTC) is the moment that follows it,
as in POSIX. Fractions are kept to the microsecond, what lies beyond is cut off.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = (
    "an RFC 3339 string with its offset from UTC (2024-06-05T10:00:00Z), a date (midnight in UTC), "
    "or seconds since 1970"
)

_DATE = r"(\d{4}-\d\d-\d\d)"
_TIME = r"[Tt ](\d\d:\d\d:)(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)"
_RFC3339 = re.compile(f"{_DATE}(?:{_TIME})?", re.ASCII)
_MICROSECOND, _SECOND = timedelta(microseconds=1), timedelta(seconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND


def microseconds(value: object) -> int | None:
    """Unix microseconds of a moment in years 1 to 9999; None where it is none (see `MOMENT`)."""
    try:
        moment = _read(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment is not None and _FIRST <= moment <= _LAST else None


def _read(value: object) -> int | None:
    if isinstance(value, datetime):
        return None if value.utcoffset() is None else _since_epoch(value)
    if type(value) is str:
        return _text(value)
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return round(Fraction(value) * 1_000_000)
    return None


def _text(text: str) -> int | None:
    parts = _RFC3339.fullmatch(text)
    if parts is None:
        return None
    date, minutes, seconds, fraction, offset = parts.groups()
    if minutes is None:
        return _since_epoch(datetime.fromisoformat(date).replace(tzinfo=UTC))
    leap = seconds == "60"
    moment = datetime.fromisoformat(f"{date}T{minutes}{'59' if leap else seconds}{offset.upper()}")
    if leap:
        moment += _SECOND
        if moment.astimezone(UTC).time() != EPOCH.time():
            return None
    return _since_epoch(moment) + int((fraction or "")[:6].ljust(6, "0"))


def _since_epoch(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND
