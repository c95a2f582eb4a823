"""Filters of Qdrant are shown as ours in the message, and ours mean what theirs meant."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentspace.errors import FilterSyntaxError
from latentspace.filters import filter_message
from latentspace.foreign_filters import as_ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"must": [{"key": "tag", "match": {"value": "a"}}]}, {"tag": "a"}),
        ({"must": {"key": "tag", "match": {"value": "a"}}}, {"tag": "a"}),
        ({"key": "year", "range": {"gte": 2010, "lt": 2020}}, {"year": {"gte": 2010, "lt": 2020}}),
        ({"must_not": [{"key": "on", "match": {"value": True}}]}, {"not": {"on": True}}),
        ({"must": [{"key": "tag", "match": {"any": ["a", "b"]}}]}, {"tag": {"in": ["a", "b"]}}),
        (
            {"must": [{"key": "tag", "match": {"except": ["a"]}}]},
            {"not": {"tag": {"in": ["a"]}}},
        ),
        (
            {
                "must": [{"key": "year", "range": {"gt": 1}}],
                "should": [
                    {"key": "tag", "match": {"value": "a"}},
                    {"must_not": [{"key": "tag", "match": {"value": "b"}}]},
                ],
            },
            {"and": [{"year": {"gt": 1}}, {"or": [{"tag": "a"}, {"not": {"tag": "b"}}]}]},
        ),
    ],
)
def test_the_message_shows_our_form(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    with pytest.raises(FilterSyntaxError, match="written as one of Qdrant; here it is") as error:
        filter_message(theirs)
    assert json.loads(str(error.value).partition("here it is ")[2]) == ours
    assert filter_message(ours) is not None


@pytest.mark.parametrize("tree", [{"key": "a"}, {"must": "a"}, {"must": {"gte": 1}}, {"key": 3}])
def test_fields_of_those_names_stay_fields(tree: dict[str, Any]) -> None:
    assert as_ours(tree) == ""
    assert filter_message(tree) is not None


VALUES = st.one_of(st.text(max_size=3), st.integers(-9, 9), st.booleans())
CONDITIONS = st.builds(lambda value: {"key": "tag", "match": {"value": value}}, VALUES) | st.builds(
    lambda low: {"key": "year", "range": {"gte": low}}, st.integers(-9, 9)
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.dictionaries(
        st.sampled_from(["must", "should", "must_not"]),
        st.lists(inner, min_size=1, max_size=3),
        min_size=1,
    ),
    max_leaves=8,
)


def theirs_passes(tree: dict[str, Any], point: dict[str, Any]) -> bool:
    """Qdrant's meaning: all of must, any of should, none of must_not."""
    if "key" in tree:
        value = point[tree["key"]]
        if "range" in tree:
            return bool(value >= tree["range"]["gte"])
        return bool(value == tree["match"]["value"])
    return (
        all(theirs_passes(part, point) for part in tree.get("must", []))
        and ("should" not in tree or any(theirs_passes(part, point) for part in tree["should"]))
        and not any(theirs_passes(part, point) for part in tree.get("must_not", []))
    )


def ours_passes(tree: dict[str, Any], point: dict[str, Any]) -> bool:
    ((name, value),) = tree.items()
    if name == "and":
        return all(ours_passes(part, point) for part in value)
    if name == "or":
        return any(ours_passes(part, point) for part in value)
    if name == "not":
        return not ours_passes(value, point)
    if isinstance(value, dict):
        return bool(point[name] >= value["gte"])
    return bool(point[name] == value)


@given(FILTERS, VALUES, st.integers(-9, 9))
@settings(deadline=None)
def test_both_pass_the_same_points(theirs: dict[str, Any], tag: Any, year: int) -> None:
    point = {"tag": tag, "year": year}
    assert ours_passes(json.loads(as_ours(theirs)), point) == theirs_passes(theirs, point)
