"""Columns against a naive evaluator over plain dictionaries, with random payloads and filters."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.columns.table import Columns, check_fields, validate_payload
from index.errors import FilterError, InvalidPointError, SpecError, StorageError
from index.filter import All, AnyOf, Condition, Filter, Not, Op, Scalar
from index.types import FieldType

FIELDS = {
    "word": FieldType.KEYWORD,
    "tags": FieldType.KEYWORD_LIST,
    "year": FieldType.INT,
    "price": FieldType.FLOAT,
    "on": FieldType.BOOL,
    "at": FieldType.DATETIME,
}
Payload = dict[str, Any]
Row = tuple[Payload, str]

words = st.sampled_from(["", "a", "b", "ä", "日本", "never"])
whole = st.one_of(st.integers(-3, 3), st.sampled_from([-(1 << 63), (1 << 63) - 1]))
real = st.one_of(st.sampled_from([-1.5, -0.0, 0.0, 0.5, 1e300]), st.integers(-2, 2))
offsets = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
moments = st.builds(
    lambda days, micros, zone: (
        datetime(2020, 1, 1, 0, 0, 0, micros, tzinfo=zone) + timedelta(days=days)
    ),
    st.integers(-1, 1),
    st.sampled_from([0, 1, 999_999]),
    offsets,
)


def payloads() -> st.SearchStrategy[Payload]:
    return st.fixed_dictionaries(
        {},
        optional={
            "word": st.none() | words,
            "tags": st.none() | st.lists(words, max_size=3),
            "year": st.none() | whole,
            "price": st.none() | real,
            "on": st.none() | st.booleans(),
            "at": st.none() | moments.map(datetime.isoformat),
            "undeclared": st.just({"deep": [1]}),
        },
    )


rows_of = st.tuples(payloads(), st.sampled_from(["text", "key", ""]))

OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    "word": words,
    "tags": words,
    "year": whole,
    "price": real,
    "on": st.booleans(),
    "at": moments,
    "modality": st.sampled_from(["text", "key", "image"]),
}
RANGED = {"year", "price", "at"}


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(OPERANDS)))
    ops = [Op.EQ, Op.NE, Op.IN, Op.EXISTS]
    if name in RANGED:
        ops += [Op.GT, Op.GTE, Op.LT, Op.LTE]
    op = draw(st.sampled_from(ops))
    if op is Op.EXISTS:
        return Condition(name, op, draw(st.booleans()))
    if op is Op.IN:
        return Condition(name, op, tuple(draw(st.lists(OPERANDS[name], max_size=4))))
    return Condition(name, op, draw(OPERANDS[name]))


filters: st.SearchStrategy[Filter] = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


def compared(value: Any, op: Op, asked: Scalar) -> bool:
    match op:
        case Op.EQ:
            return bool(value == asked)
        case Op.GT:
            return bool(value > asked)
        case Op.GTE:
            return bool(value >= asked)
        case Op.LT:
            return bool(value < asked)
        case _:
            return bool(value <= asked)


def holds(row: Row, node: Filter) -> bool:
    match node:
        case All(parts):
            return all(holds(row, part) for part in parts)
        case AnyOf(parts):
            return any(holds(row, part) for part in parts)
        case Not(part):
            return not holds(row, part)
    value: Any = row[1] or None if node.field == "modality" else row[0].get(node.field)
    if node.op is Op.EXISTS:
        return (value is not None) == node.value
    if value is None:
        return node.op is Op.NE
    if node.field == "at":
        value = datetime.fromisoformat(value)
    values: list[Any] = value if node.field == "tags" else [value]
    if node.op is Op.NE:
        return all(one != node.value for one in values)
    if isinstance(node.value, tuple):
        return any(one in node.value for one in values)
    return any(compared(one, node.op, node.value) for one in values)


def expected(rows: list[Row], node: Filter) -> list[int]:
    return [place for place, row in enumerate(rows) if holds(row, node)]


def filled(rows: list[Row]) -> Columns:
    columns = Columns(FIELDS)
    columns.append([row[0] for row in rows], [row[1] for row in rows])
    return columns


def check(columns: Columns, rows: list[Row], node: Filter) -> None:
    found = columns.select(node)
    wanted = expected(rows, node)
    assert found.positions().tolist() == wanted
    assert found.count == len(wanted)
    assert np.flatnonzero(found.mask()).tolist() == wanted
    assert len(found.mask()) == len(rows)


@settings(max_examples=400, deadline=None)
@given(st.lists(rows_of, max_size=40), filters)
def test_filters_agree_with_dictionaries(rows: list[Row], node: Filter) -> None:
    check(filled(rows), rows, node)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(rows_of, min_size=1, max_size=20),
    st.lists(
        st.one_of(st.lists(rows_of, max_size=5), st.tuples(st.integers(0, 1000), rows_of)),
        max_size=8,
    ),
    filters,
)
def test_filters_agree_while_rows_come_and_change(
    rows: list[Row], steps: list[Any], node: Filter
) -> None:
    rows = list(rows)
    columns = filled(rows)
    for step in steps:
        columns.select(node)
        if isinstance(step, list):
            columns.append([row[0] for row in step], [row[1] for row in step])
            rows += step
        else:
            place = step[0] % len(rows)
            rows[place] = step[1]
            columns.update(place, *step[1])
        check(columns, rows, node)
    early = columns.select(node, 3).positions().tolist()
    assert early == [place for place in expected(rows, node) if place < 3]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(rows_of, max_size=30), node=filters)
def test_saved_columns_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], node: Filter
) -> None:
    path = tmp_path_factory.mktemp("columns") / "columns"
    columns = filled(rows)
    if rows:
        rows = [rows[-1], *rows[1:]]
        columns.update(0, *rows[0])
    columns.save(path)
    loaded = Columns.load(path, FIELDS)
    check(loaded, rows, node)
    loaded.append([{"word": "a", "tags": ["b", "new"]}], ["image"])
    check(loaded, [*rows, ({"word": "a", "tags": ["b", "new"]}, "image")], node)


def many_rows(count: int) -> list[Row]:
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for number in range(count):
        payload: Payload = {"year": int(rng.integers(0, 500)), "word": f"w{rng.integers(0, 300)}"}
        payload["tags"] = [f"t{tag}" for tag in rng.integers(0, 40, 2)]
        if number % 7:
            payload["price"] = float(rng.random())
        rows.append((payload, "text" if number % 2 else "key"))
    return rows


LARGE: list[Filter] = [
    Condition("word", Op.EQ, "w7"),
    Condition("word", Op.IN, tuple(f"w{number}" for number in range(0, 400, 3))),
    Condition("tags", Op.IN, ("t1", "t2", "t39", "none")),
    Condition("year", Op.GTE, 250),
    All((Condition("word", Op.EQ, "w7"), Condition("tags", Op.NE, "t1"))),
    All(
        (
            Condition("year", Op.LT, 20),
            AnyOf((Condition("tags", Op.EQ, "t5"), Condition("price", Op.LT, 0.2))),
            Not(Condition("modality", Op.EQ, "key")),
            Condition("price", Op.EXISTS, True),
        )
    ),
    AnyOf((Condition("word", Op.EQ, "w1"), Condition("year", Op.EQ, 3))),
    AnyOf((Condition("word", Op.NE, "w1"), Condition("year", Op.EQ, 3))),
]


def test_large_segments_with_fresh_and_changed_rows_agree() -> None:
    rows = many_rows(30_000)
    columns = filled(rows[:20_000])
    for node in LARGE:
        check(columns, rows[:20_000], node)
    columns.append([row[0] for row in rows[20_000:]], [row[1] for row in rows[20_000:]])
    for place in range(0, 30_000, 11):
        rows[place] = rows[(place * 7 + 1) % 30_000]
        columns.update(place, *rows[place])
    for node in LARGE:
        check(columns, rows, node)


def test_readers_beside_a_writer_see_whole_rows() -> None:
    columns = Columns({"low": FieldType.INT, "high": FieldType.INT})
    columns.append([{"low": 1, "high": 1}] * 6000, [""] * 6000)
    torn = AnyOf(
        tuple(
            All((Condition("low", Op.EQ, value), Condition("high", Op.EQ, 3 - value)))
            for value in (1, 2)
        )
    )
    stop = threading.Event()
    faults: list[int] = []

    def read() -> None:
        while not stop.is_set():
            faults.append(columns.select(torn).count)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(3000):
        value = 1 + turn % 2
        columns.update(turn, {"low": value, "high": value}, "")
        if turn % 100 == 0:
            columns.append([{"low": 2, "high": 2}] * 50, [""] * 50)
    stop.set()
    reader.join()
    assert faults
    assert not any(faults)


def test_a_field_added_later_reads_the_rows_there_are() -> None:
    rows = many_rows(200)
    columns = Columns({"word": FieldType.KEYWORD})
    columns.append([row[0] for row in rows], [row[1] for row in rows])
    columns.add_field("year", FieldType.INT, [row[0] for row in rows])
    node = Condition("year", Op.LT, 100)
    assert columns.select(node).positions().tolist() == expected(rows, node)
    with pytest.raises(ValueError, match="payloads"):
        columns.add_field("price", FieldType.FLOAT, [])


def test_values_of_another_type_count_as_absent_in_old_rows() -> None:
    columns = Columns({"year": FieldType.INT})
    columns.append([{"year": "1999"}, {"year": True}, {"year": 1.0}, {"year": 7}], [""] * 4)
    assert columns.select(Condition("year", Op.EXISTS, True)).positions().tolist() == [3]


def test_group_keys() -> None:
    columns = filled([({"word": "b", "on": True, "year": 3}, ""), ({}, ""), ({"word": "a"}, "")])
    places = np.array([2, 0, 1])
    assert columns.group_keys("word", places) == ["a", "b", None]
    assert columns.group_keys("on", places) == [None, True, None]
    assert columns.group_keys("year", places) == [None, 3, None]
    assert Columns(FIELDS).group_keys("word", places[:0]) == []


@pytest.mark.parametrize(
    ("node", "part"),
    [
        (Condition("color", Op.EQ, "red"), "not declared; declared: at (datetime)"),
        (Condition("year", Op.EQ, "red"), "year.*int"),
        (Condition("year", Op.EQ, 1.0), "int"),
        (Condition("year", Op.EQ, True), "int"),
        (Condition("year", Op.EQ, 1 << 63), "int"),
        (Condition("price", Op.EQ, True), "float"),
        (Condition("price", Op.LT, float("nan")), "float"),
        (Condition("on", Op.EQ, 1), "bool"),
        (Condition("on", Op.GT, True), "no order"),
        (Condition("word", Op.GTE, "a"), "no order"),
        (Condition("tags", Op.LT, "a"), "no order"),
        (Condition("modality", Op.LT, "a"), "no order"),
        (Condition("word", Op.EQ, 3), "keyword"),
        (Condition("at", Op.GT, datetime(2020, 1, 1)), "datetime"),
        (Condition("at", Op.GT, "2020-01-01T00:00:00"), "RFC 3339"),
        (Condition("at", Op.EQ, True), "datetime"),
        (Condition("word", Op.IN, "a"), "takes a list"),
        (Condition("word", Op.EQ, ("a",)), "takes one value"),
        (Condition("word", Op.IN, ("a", 3)), "keyword"),
        (Condition("word", Op.EXISTS, "yes"), "true or false"),
        (Not(All((AnyOf((Condition("color", Op.EXISTS, True),)),))), "not declared"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(node: Filter, part: str) -> None:
    with pytest.raises(FilterError, match=part.replace("(", r"\(").replace(")", r"\)")):
        filled([({}, "")]).select(node)


def test_a_payload_that_fits_is_given_back() -> None:
    payload = {
        "word": "a",
        "tags": [],
        "year": -(1 << 63),
        "price": 1,
        "on": None,
        "at": "2020-01-01t00:00:00.123456789z",
        "other": [1, {"x": None}],
    }
    assert validate_payload(orjson.dumps(payload), FIELDS) == payload


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "payload"),
        (b"[1]", "payload"),
        (b"null", "payload"),
        (b"{", "payload"),
        (b'{"a": "\xff"}', "payload"),
        (b'{"price": NaN}', "payload"),
        (b'{"a": "' + b"x" * 65_536 + b'"}', "payload"),
        (b'{"word": 3}', "payload.word"),
        (b'{"tags": "a"}', "payload.tags"),
        (b'{"tags": ["a", null]}', "payload.tags"),
        (b'{"year": 1.0}', "payload.year"),
        (b'{"year": true}', "payload.year"),
        (b'{"year": 9223372036854775808}', "payload.year"),
        (b'{"price": "1"}', "payload.price"),
        (b'{"price": false}', "payload.price"),
        (b'{"on": 0}', "payload.on"),
        (b'{"at": true}', "payload.at"),
        (b'{"at": 1717581600000}', "payload.at"),
        (b'{"at": "2020-01-01T00:00:00"}', "payload.at"),
        (b'{"at": "2020-1-1"}', "payload.at"),
        (b'{"at": "2020-02-30T00:00:00Z"}', "payload.at"),
    ],
)
def test_a_payload_that_does_not_fit_is_named(payload: bytes, field: str) -> None:
    with pytest.raises(InvalidPointError) as caught:
        validate_payload(payload, FIELDS)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["modality", "", "x" * 129])
def test_field_names_are_checked(name: str) -> None:
    with pytest.raises(SpecError):
        check_fields({name: FieldType.INT})


def test_damaged_or_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "columns"
    filled([({"word": "a"}, "")]).save(path)
    with pytest.raises(StorageError, match="fields"):
        Columns.load(path, {"word": FieldType.KEYWORD_LIST})
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], b"", b"x" * 100):
        path.write_bytes(damaged)
        with pytest.raises(StorageError):
            Columns.load(path, FIELDS)
