"""JSON lines, and values of all kinds as JSON."""

import json
import tempfile
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.values import plain
from latentspace.inputs import ImageInput, KeyInput, VectorInput
from latentspace.payloads import dump_payload
from tests.client.indexing.reading import fault, read, records, row

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def without_nan(value: Any) -> Any:
    """An independent reading of what becomes of NaN."""
    text = json.dumps(value).replace("NaN", "null")
    return json.loads(text)


@given(st.lists(st.tuples(TEXTS.filter(bool), VALUES.filter(lambda v: "NaN" not in str(v)))))
def test_what_json_writes_is_read(rows: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        lines = [json.dumps({"id": i, "text": t, "more": v}) for i, (t, v) in enumerate(rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
        found = [row(one) for one in read(path)]
    expected = [(str(i), t, {"more": without_nan(v)}) for i, (t, v) in enumerate(rows)]
    assert found == expected


def test_bad_lines_stop_nothing(tmp_path: Path) -> None:
    lines = [
        '{"id": 7, "text": "one", "n": NaN}',
        '{"id": 8, "text": "tw',
        "",
        "[1, 2]",
        '{"text": "no id"}',
        '{"id": 1.5, "text": "a fraction"}',
        '{"id": true, "text": "a truth"}',
        '{"id": 9}',
        '{"id": 10, "text": "x", "n": Infinity}',
        '{"id": 11, "text": "\\ud800"}',
        '{"id": "\\ud800", "text": "x"}',
        "[" * 100_000,
        '{"id": 12, "text": ["a"]}',
        '{"id": 13, "text": "x", "deep": ' + '{"a":' * 900 + "1" + "}" * 900 + "}",
        '{"id": "7", "text": "once more"}',
        '{"id": 14, "text": "end"}',
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    items = read(path)
    good = [row(one) for one in items if isinstance(one, Record)]
    assert good[0] == ("7", "one", {"n": None})
    assert good[-1] == ("14", "end", {})
    bad = {fault(one) for one in items if isinstance(one, BadRecord)}
    assert {
        ("rows.jsonl:2", "UNREADABLE", ""),
        ("rows.jsonl:4", "UNREADABLE", ""),
        ("rows.jsonl:5", "NO_ID", ""),
        ("rows.jsonl:6", "BAD_ID", ""),
        ("rows.jsonl:7", "BAD_ID", ""),
        ("rows.jsonl:8", "NO_INPUT", "9"),
        ("rows.jsonl:9", "BAD_PAYLOAD", "10"),
        ("rows.jsonl:10", "BAD_INPUT", "11"),
        ("rows.jsonl:11", "BAD_ID", ""),
        ("rows.jsonl:12", "UNREADABLE", ""),
        ("rows.jsonl:13", "BAD_INPUT", "12"),
        ("rows.jsonl:15", "REPEATED_ID", "7"),
    } <= bad
    for one in good:
        dump_payload(one[2])  # can be sent


def test_lines_are_ids_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text('\ufeff{"vector": [1, 2.5], "n": 1}\n\n{"vector": [3, null]}\n{"vector": []}\n')
    first, *bad = read(path)
    assert isinstance(first, Record)
    assert isinstance(first.input, VectorInput)
    np.testing.assert_array_equal(first.input.values, np.array([1, 2.5], np.float32))
    assert (first.id, first.payload, first.place) == ("1", {"n": 1}, "rows.ndjson:1")
    assert [fault(one) for one in bad] == [
        ("rows.ndjson:3", "BAD_INPUT", "3"),
        ("rows.ndjson:4", "BAD_INPUT", "4"),
    ]


def test_columns_come_from_the_first_objects(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"note": "x"}\nbad\n{"id": "a", "text": "b"}\n')
    assert [one.reason if isinstance(one, BadRecord) else one.id for one in read(path)] == [
        "NO_ID",
        "UNREADABLE",
        "a",
    ]
    with pytest.raises(SourceError, match="no column 'body'; there are 'id', 'note', 'text'"):
        read(path, input_column="body")
    path.write_text("bad\n")
    assert [fault(one)[1] for one in read(path)] == ["UNREADABLE"]
    path.write_text("")
    assert read(path) == []


def test_a_line_that_is_not_utf_8_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n{"text": "\xe9"}\n{"text": "c"}\n')
    first, bad, last = read(path)
    assert [row(one)[:2] for one in (first, last)] == [("1", "a"), ("4", "c")]
    assert fault(bad) == ("rows.jsonl:3", "UNREADABLE", "")


def test_images_lie_beside_the_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    paths = ["a/b.jpg", "data:image/png;base64,AA==", "//host/x.png", "FILE:///etc/x.png", "a\0b"]
    path.write_text("\n".join(json.dumps({"image": one}) for one in paths))
    good, *bad = read(path)
    assert isinstance(good, Record)
    assert good.input == ImageInput(tmp_path / "a/b.jpg")
    assert [fault(one)[1] for one in bad] == ["BAD_INPUT"] * 4


def test_keys_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    path.write_text('{"key": 17}')
    (only,) = records(path)
    assert (only.id, only.input) == ("1", KeyInput("17"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (float("nan"), None),
        (np.array([1.5, np.nan]), [1.5, None]),
        (("a", {"b": (1,)}), ["a", {"b": [1]}]),
        ({1: "x"}, {"1": "x"}),
        (Decimal("3.00"), 3),
        (Decimal("2.5"), 2.5),
        (Decimal("NaN"), None),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2024, 2, 3), "2024-02-03"),
        (datetime(2024, 2, 3, 4, 5, 6), "2024-02-03T04:05:06+00:00"),
        (
            datetime(2024, 2, 3, 4, 5, 6, 789, timezone(timedelta(hours=-2))),
            "2024-02-03T04:05:06.000789-02:00",
        ),
    ],
)
def test_values_become_json(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


@pytest.mark.parametrize(
    "value", [b"x", float("inf"), np.float64("-inf"), timedelta(1), "\ud800", object(), {1, 2}]
)
def test_values_that_json_lacks(value: object) -> None:
    with pytest.raises(ValueError, match=r"not JSON|Unicode"):
        plain({"a": [value]})
