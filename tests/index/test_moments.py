"""Moments of payloads and filters, against the arithmetic of `datetime` and of Decimals."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.columns.moments import microseconds
from tests.long import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
offsets = st.integers(-(23 * 60 + 59), 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)


def expected(moment: datetime) -> int:
    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def written(moment: datetime, digits: int, separator: str, zulu: bool) -> str:
    """RFC 3339 with a number of digits of the fraction; digits beyond six are nines."""
    zone = moment.strftime("%z")
    offset = "z" if zulu and not moment.utcoffset() else f"{zone[:3]}:{zone[3:5]}"
    fraction = f"{moment.microsecond:06d}999"[:digits]
    date = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    time = f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    return f"{date}{separator}{time}{'.' + fraction if digits else ''}{offset}"


@settings(max_examples=examples(200), deadline=None)
@given(moments, st.integers(0, 9), st.sampled_from("Tt "), st.booleans())
def test_rfc3339(moment: datetime, digits: int, separator: str, zulu: bool) -> None:
    unit = 10 ** max(0, 6 - digits)
    shown = moment.replace(microsecond=moment.microsecond // unit * unit)
    assert microseconds(written(moment, digits, separator, zulu)) == expected(shown)
    assert microseconds(moment) == expected(moment)


@settings(max_examples=examples(200), deadline=None)
@given(st.dates())
def test_a_date_is_its_midnight_in_utc(day: Any) -> None:
    assert microseconds(day.isoformat()) == expected(
        datetime(day.year, day.month, day.day, tzinfo=UTC)
    )


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_whole_seconds(seconds: int) -> None:
    assert microseconds(seconds) == expected(EPOCH + timedelta(seconds=seconds))


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(-60_000_000_000, 250_000_000_000))
def test_seconds_with_a_fraction(seconds: float) -> None:
    rounded = (Decimal(seconds) * 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert microseconds(seconds) == int(rounded)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T01:59:60.25+02:00", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
        ("2024-02-29T00:00:00-00:00", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_edges(text: str, moment: datetime) -> None:
    assert microseconds(text) == expected(moment)


@pytest.mark.parametrize(
    "value",
    [
        *("", "now", "2024", "2024-06", "20240605", "2024-6-5", "2024-06-05T10:00:00"),
        *("2024-06-05T10:00Z", "2024-06-05T10:00:00+2", "2024-06-05T10:00:00+02", "2023-02-29"),
        *("2024-06-05T24:00:00Z", "2024-06-05T10:60:00Z", "2024-06-05T10:00:61Z", "10:00:00Z"),
        *("2016-12-31T22:59:60Z", "9999-12-31T23:59:60Z", "0000-01-01", "10000-01-01"),
        *("0001-01-01T00:00:00+01:00", "2024-06-05T10:00:00+24:00", "2024-06-05T10:00:00.Z"),
        *(" 2024-06-05", "2024-06-05Z", "٢٠٢٤-06-05", "2024-W23-3", "1717581600"),
        *(True, False, None, float("nan"), float("inf"), 1_717_581_600_000, -(10**30), 1e300),
        *([], {}, b"2024-06-05", datetime(2024, 6, 5)),
    ],
)
def test_what_is_no_moment(value: object) -> None:
    assert microseconds(value) is None
