"""What is passed by a wrong name, or as a wrong type, is named as the user wrote it."""

from typing import Any

import numpy as np
import pytest

from latentspace import Client, InvalidArgumentError
from tests.client.fake.world import World


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("top_k", "k"),
        ("limit", "k"),
        ("filters", "filter"),
        ("where", "filter"),
        ("with_payloads", "with_payload"),
        ("with_vector", "with_vectors"),
        ("with_vectrs", "with_vectors"),
        ("ofset", "offset"),
    ],
)
@pytest.mark.parametrize("call", ["search", "search_pages"])
def test_the_keyword_that_was_meant(client: Client, call: str, keyword: str, meant: str) -> None:
    with pytest.raises(TypeError) as error:
        list(getattr(client, call)("words", key="a", **{keyword: 1}))
    assert str(error.value) == f"{call}() has no keyword {keyword!r}; did you mean {meant!r}?"


@pytest.mark.parametrize("call", ["embed", "embed_batch", "embed_stream"])
def test_keywords_of_embedding(client: Client, call: str) -> None:
    with pytest.raises(TypeError, match="no keyword 'dim'; did you mean 'dimensions'"):
        list(getattr(client, call)("words", texts=["a"], dim=3))


def test_a_keyword_like_no_other_shows_all(client: Client) -> None:
    with pytest.raises(TypeError, match=r"'banana'; there are: vectors, texts, .*, filter, .*"):
        client.search_batch("words", keys=["a"], banana=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "arguments", "problem"),
    [
        ("search", {"key": "a", "k": "5"}, "k: expected a whole number, got '5'"),
        ("search", {"key": "a", "k": True}, "k: expected a whole number, got True"),
        ("search", {"key": "a", "k": 2.5}, "k: expected a whole number, got 2.5"),
        ("search", {"key": "a", "offset": "1"}, "offset: expected a whole number"),
        ("search", {"key": "a", "offset": -1}, "offset: expected 0 to"),
        ("analogy", {"positive": "a", "k": "5"}, "k: expected a whole number"),
        ("create_collection", {"dim": 2, "fields": ["a"]}, 'as {"year": "int"}, got'),
        ("create_collection", {"dim": 2, "fields": "year"}, 'as {"year": "int"}, got'),
        ("compare", {"texts": ["a", "b"]}, r"texts\[0\]: expected a pair \(a, b\), got 'a'"),
        ("compare", {"images": [("a",)]}, r"images\[0\]: expected a pair"),
        ("compare", {"keys": "ab"}, "keys: expected a list of pairs, got 'ab'"),
    ],
)
def test_values_of_another_type(
    client: Client, world: World, call: str, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        getattr(client, call)("words", **arguments)
    assert not world.requests


def test_numpy_integers_are_whole_numbers(client: Client) -> None:
    numbers: dict[str, Any] = {"k": np.int64(2), "offset": np.uint8(0)}
    assert len(client.search("words", key="man", **numbers)) == 2


@pytest.mark.parametrize("ids", ["abc", b"abc"])
def test_one_string_is_not_a_list_of_ids(client: Client, world: World, ids: Any) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"ids: expected a list of ids, got b?'abc'; pass"
    ):
        client.upsert("words", ids, vectors=np.zeros((3, 2)))
    assert not world.requests
