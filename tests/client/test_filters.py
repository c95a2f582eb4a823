import json
import operator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace import FilterSyntaxError
from latentspace.filters import filter_message
from latentspace.v1 import filter_pb2
from tests.client.fake.filters import passes, plain

FIELDS = ("year", "tag", "tags", "score", "seen", "when")
OPERATORS = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "exists")


def written(tree: filter_pb2.Filter) -> dict[str, Any]:
    """A filter of the wire as it could have been written."""
    kind = tree.WhichOneof("filter")
    if kind in ("all", "any"):
        return {"and" if kind == "all" else "or": [written(f) for f in getattr(tree, kind).filters]}
    if kind == "negation":
        return {"not": written(tree.negation)}
    condition = tree.condition
    match condition.WhichOneof("test"):
        case "equal":
            test: Any = {"eq": plain(condition.equal)}
        case "not_equal":
            test = {"ne": plain(condition.not_equal)}
        case "in":
            test = {"in": [plain(value) for value in getattr(condition, "in").values]}
        case "range":
            test = {bound.name: plain(value) for bound, value in condition.range.ListFields()}
        case _:
            test = {"exists": condition.exists}
    return {condition.field: test}


moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | numbers
    | st.booleans()
    | moments
)
bounds = numbers | moments
tests = st.one_of(
    values,
    st.fixed_dictionaries({"eq": values}),
    st.fixed_dictionaries({"ne": values}),
    st.fixed_dictionaries({"in": st.lists(values, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), bounds, min_size=1),
    st.fixed_dictionaries({"gte": numbers, "ne": values, "exists": st.booleans()}),
)
conditions = st.dictionaries(st.sampled_from(FIELDS), tests, min_size=1, max_size=3)
trees = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"not": inner, "year": tests}),
    ),
    max_leaves=6,
)


@given(trees)
def test_round_trip(tree: dict[str, Any]) -> None:
    message = filter_message(tree)
    assert message is not None
    assert filter_message(written(message)) == message


# A second opinion on what a filter means, from its written form alone.
def means(tree: dict[str, Any], payload: dict[str, Any]) -> bool:
    return all(member_means(name, value, payload) for name, value in tree.items())


def member_means(name: str, value: Any, payload: dict[str, Any]) -> bool:
    if name == "or":
        return any(means(part, payload) for part in value)
    if name == "and":
        return all(means(part, payload) for part in value)
    if name == "not":
        return not means(value, payload)
    tests = value if isinstance(value, dict) else {"eq": value}
    return all(holds(op, wanted, payload.get(name)) for op, wanted in tests.items())


def holds(op: str, wanted: Any, stored: Any) -> bool:
    if op == "exists":
        return bool((stored is not None) == wanted)
    if stored is None:
        return op == "ne"
    if op == "in":
        return bool(stored in wanted)
    compare = {"eq": operator.eq, "gte": operator.ge, "lte": operator.le}
    compare |= {"ne": operator.ne, "gt": operator.gt, "lt": operator.lt}
    return bool(compare[op](stored, wanted))


small = st.integers(0, 5)
small_tests = st.one_of(
    small,
    st.fixed_dictionaries({"in": st.lists(small, min_size=1, max_size=2)}),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "ne", "eq"]), small, min_size=1),
    st.fixed_dictionaries({"exists": st.booleans()}),
)
small_trees = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b"]), small_tests, min_size=1),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)


@given(small_trees, st.dictionaries(st.sampled_from(["a", "b"]), small))
def test_the_wire_means_what_is_written(tree: dict[str, Any], payload: dict[str, Any]) -> None:
    message = filter_message(tree)
    assert message is not None
    assert passes(message, payload) == means(tree, payload)


def test_no_filter() -> None:
    assert filter_message(None) is None
    assert filter_message({}) is None


def test_numpy_values_and_time_zones() -> None:
    east = datetime(2020, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    message = filter_message(
        {
            "year": {"gte": np.int64(2010)},
            "score": np.float32(0.5),
            "seen": np.bool_(True),
            "when": east,
        }
    )
    assert message is not None
    payload = {"year": 2011, "score": 0.5, "seen": True, "when": "2020-01-01T00:00:00Z"}
    assert passes(message, payload)
    assert not passes(message, {**payload, "year": 2009})


@pytest.mark.parametrize(
    ("tree", "path", "problem"),
    [
        ({"year": {"gte": 1, "above": 2}}, "year", "unknown operator 'above'; one of eq, ne"),
        ({"year": {}}, "year", "is empty"),
        ({"year": {"in": []}}, "year.in", "at least one"),
        ({"year": {"in": "abc"}}, "year.in", "expected a list of values"),
        ({"year": {"in": [1, None]}}, "year.in[1]", '{"exists": false}'),
        ({"tag": ["a", "b"]}, "tag", '{"in": [...]}'),
        ({"year": {"gte": []}}, "year.gte", "expected a value"),
        ({"year": {"lt": True}}, "year.lt", "a number or a datetime"),
        ({"year": {"exists": 1}}, "year.exists", "true or false"),
        ({"year": 2**63}, "year", "beyond 64 bits"),
        ({"score": float("nan")}, "score", "NaN"),
        ({"when": datetime(2020, 1, 1)}, "when", "has no time zone"),
        ({"when": np.timedelta64(3, "s")}, "when", "length of time"),
        ({"when": np.datetime64("NaT")}, "when", "exists"),
        ({"tag": "\ud800"}, "tag", "not valid Unicode"),
        ({"or": []}, "or", "at least one"),
        ({"or": {"a": 1}}, "or", "expected a list of filters"),
        ({"or": [{"a": 1}, {}]}, "or[1]", "is empty"),
        ({"or": [{"a": 1}, {"not": {"b": {"in": [{}]}}}]}, "or[1].not.b.in[0]", "expected a value"),
        ({"not": 3}, "not", "expected an object"),
        ({"": 3}, "", "field names are strings"),
        ({3: 3}, "", "field names are strings"),
        ([{"a": 1}], "", "expected an object"),
    ],
)
def test_what_is_wrong_is_named(tree: Any, path: str, problem: str) -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        filter_message(tree)
    assert caught.value.path == path
    assert problem in str(caught.value)
    assert str(caught.value).startswith("filter")


def test_json_is_enough() -> None:
    tree = json.loads('{"year": {"gte": 2010}, "tag": {"in": ["a", "b"]}, "not": {"seen": true}}')
    message = filter_message(tree)
    assert message is not None
    assert passes(message, {"year": 2010, "tag": "b", "seen": False})
    assert not passes(message, {"year": 2010, "tag": "c", "seen": False})
