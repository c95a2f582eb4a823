import asyncio
from typing import Any

import numpy as np
import pytest

from latentspace import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    FailedPreconditionError,
    FieldType,
    FilterSyntaxError,
    InvalidArgumentError,
    Metric,
    NotFoundError,
    PartialError,
)
from latentspace.requests.points import GET_ITEMS, MAX_VECTORS
from latentspace.v1 import collection_service_pb2 as pb
from tests.client.fake.world import TEXT_DIM, WORDS, World, vector_of

DIM = 4


def rows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(count).standard_normal((count, DIM)).astype(np.float32)


@pytest.fixture
def raw(client: Client) -> Client:
    """A collection "raw" of 30 points p0, p1, ... with a payload {"year": i, "tag": even | odd}."""
    client.create_collection("raw", dim=DIM, fields={"year": "int", "tag": FieldType.KEYWORD})
    client.upsert(
        "raw",
        [f"p{i}" for i in range(30)],
        vectors=rows(30),
        payloads=[{"year": i, "tag": "odd" if i % 2 else "even"} for i in range(30)],
    )
    return client


def test_collections_come_and_go(client: Client) -> None:
    made = client.create_collection(
        "raw", dim=DIM, metric="l2", recipe="hnsw", fields={"year": "int"}, index={"m": 8}
    )
    assert (made.dim, made.metric, made.asked_recipe) == (DIM, Metric.L2, "hnsw")
    assert made.fields == {"year": FieldType.INT}
    assert made.index == {"m": 8}
    assert [one.name for one in client.collections()] == ["raw", "words"]
    assert client.collection("words").read_only
    with pytest.raises(AlreadyExistsError) as caught:
        client.create_collection("raw", dim=DIM)
    assert (caught.value.reason, caught.value.metadata) == (
        "COLLECTION_EXISTS",
        {"collection": "raw"},
    )
    changed = client.update_collection("raw", add_fields={"tag": "keyword"})
    assert set(changed.fields) == {"year", "tag"}
    assert client.set_alias("current", "raw") == ""
    assert client.set_alias("current", "words") == "raw"
    assert client.collection("current").name == "words"
    client.delete_alias("current")
    client.delete_collection("raw")
    with pytest.raises(NotFoundError):
        client.collection("raw")


def test_a_collection_of_a_model_has_its_space(client: Client) -> None:
    made = client.create_collection("notes", model="sentences")
    assert (made.dim, made.space_id) == (TEXT_DIM, "space-sentences")
    result = client.upsert("notes", ["a", "b"], texts=["first", "second"])
    assert result.written == 2
    stored = client.get("notes", "b", with_vectors=True)[0].vector
    assert stored is not None
    np.testing.assert_array_equal(stored, vector_of(b"second"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "model= .* or dim="),
        ({"dim": 3, "metric": "manhattan"}, "metric: unknown value 'manhattan'; one of cosine"),
        ({"dim": 3, "fields": {"a": "string"}}, r"fields\['a'\]: .* one of keyword"),
        ({"dim": 3, "index": {"M": 3}}, "index: unknown key 'M'; one of m,"),
        ({"dim": 3, "search": {"ef": "high"}}, "search: .* does not fit"),
    ],
)
def test_bad_declarations(client: Client, arguments: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.create_collection("raw", **arguments)


def test_points_come_back(raw: Client) -> None:
    points = raw.get("raw", ["p3", "p1"], with_vectors=True)
    assert [point.id for point in points] == ["p3", "p1"]
    assert points[0].payload == {"year": 3, "tag": "odd"}
    assert points[0].vector is not None
    np.testing.assert_array_equal(points[0].vector, rows(30)[3])
    bare = raw.get("raw", "p3", with_payload=False)[0]
    assert bare.vector is None
    assert bare.payload is None


def test_unknown_points(raw: Client) -> None:
    with pytest.raises(PartialError) as caught:
        raw.get("raw", ["p1", "x", "p2", "y"])
    assert set(caught.value.errors) == {1, 3}
    assert isinstance(caught.value.errors[1], NotFoundError)
    assert [point.id for point in caught.value.result] == ["p1", "p2"]  # type: ignore[attr-defined]
    found = raw.get("raw", ["p1", "x"], on_error="return")
    assert [point.id for point in found] == ["p1"]
    with pytest.raises(NotFoundError):
        raw.get("raw", "x")


def test_scroll_count_and_pages(raw: Client) -> None:
    assert [point.id for point in raw.scroll("raw", page_size=7)] == [f"p{i}" for i in range(30)]
    odd = {"tag": "odd", "year": {"lt": 10}}
    assert [p.id for p in raw.scroll("raw", filter=odd, page_size=2)] == [
        "p1",
        "p3",
        "p5",
        "p7",
        "p9",
    ]
    assert raw.count("raw") == 30
    assert raw.count("raw", filter=odd) == 5
    page = raw.list_points("raw", page_size=10, with_vectors=True)
    assert len(page) == 10
    assert page.next_page_token
    rest = raw.list_points("raw", page_size=100, page_token=page.next_page_token)
    assert [p.id for p in rest] == [f"p{i}" for i in range(10, 30)]
    assert rest.next_page_token == ""
    assert sum(1 for _ in raw.scroll("words")) == len(WORDS)


def test_payloads_change(raw: Client) -> None:
    assert raw.update_payload("raw", ids=["p1", "p2"], payload={"new": 1}) == 2
    assert raw.get("raw", "p1")[0].payload == {"year": 1, "tag": "odd", "new": 1}
    assert raw.update_payload("raw", filter={"new": 1}, remove_keys=["new", "tag"]) == 2
    assert raw.get("raw", "p1")[0].payload == {"year": 1}
    raw.update_payload("raw", ids="p1", payload={"only": True}, replace=True)
    assert raw.get("raw", "p1")[0].payload == {"only": True}


def test_delete(raw: Client) -> None:
    assert raw.delete("raw", ["p0", "no such"]) == 1
    assert raw.delete("raw", "p10") == 1
    assert raw.delete("raw", filter={"year": {"gte": 20}}) == 10
    assert raw.count("raw") == 18


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        ({}, "either ids= or filter="),
        ({"ids": ["a"], "filter": {"year": 1}}, "either ids= or filter="),
        ({"filter": {}}, "every point"),
        ({"ids": []}, "at least one"),
        ({"filter": {"year": {"over": 3}}}, "unknown operator"),
    ],
)
def test_nothing_is_deleted_by_accident(raw: Client, selector: Any, problem: str) -> None:
    for call in (raw.delete, raw.update_payload):
        with pytest.raises(InvalidArgumentError, match=problem):
            call("raw", **selector)
    assert raw.count("raw") == 30


def test_large_writes_are_split(client: Client, world: World) -> None:
    client.create_collection("raw", dim=DIM)
    count = 2 * MAX_VECTORS + 5
    ids = [f"p{i}" for i in range(count)]
    ids[MAX_VECTORS + 1] = ""  # refused by the server
    given = rows(count)
    result = client.upsert("raw", ids, vectors=given, on_error="return")
    assert result.written == count - 1
    assert list(result.errors) == [MAX_VECTORS + 1]
    assert sum(isinstance(r, pb.UpsertPointsRequest) for r in world.requests) == 3
    kept = [i for i in range(count) if ids[i]]
    points = client.get("raw", [ids[i] for i in kept], with_vectors=True)
    np.testing.assert_array_equal([p.vector for p in points], given[kept])
    assert sum(isinstance(r, pb.GetPointsRequest) for r in world.requests) > count // GET_ITEMS


def test_items_of_writes_that_fail_keep_their_places(client: Client) -> None:
    client.create_collection("notes", model="sentences")
    with pytest.raises(PartialError) as caught:
        client.upsert("notes", ["a", "b", "a", "c"], texts=["x", "", "y", "z"])
    errors = caught.value.errors
    assert list(errors) == [1, 2]
    assert "the text is empty" in str(errors[1])
    assert "position 0 already" in str(errors[2])
    assert caught.value.result.written == 2  # type: ignore[attr-defined]
    points = client.get("notes", ["a", "c"], with_vectors=True)
    np.testing.assert_array_equal([p.vector for p in points], [vector_of(b"x"), vector_of(b"z")])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"ids": [], "vectors": np.zeros((0, DIM))}, "at least one point"),
        ({"ids": ["a"], "vectors": np.zeros((2, DIM))}, "1 ids, but 2 vectors"),
        ({"ids": ["a"], "texts": ["x", "y"]}, "1 ids, but 2 vectors or inputs"),
        ({"ids": ["a"], "vectors": np.zeros(DIM)}, "expected an array"),
        ({"ids": ["a"], "vectors": np.zeros((1, DIM)), "payloads": []}, "0 payloads"),
        ({"ids": ["a"], "vectors": np.zeros((1, DIM)), "payloads": [3]}, r"payloads\[0\]"),
        ({"ids": ["a"], "vectors": np.zeros((1, DIM)), "texts": ["x"]}, "exactly one"),
        ({"ids": ["a"]}, "exactly one"),
        ({"ids": [3], "texts": ["x"]}, r"ids\[0\]: expected a string, got 3; pass str\(id\)"),
    ],
)
def test_bad_writes_are_refused_before_sending(
    client: Client, world: World, arguments: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.upsert("raw", **arguments)
    assert not world.requests


def test_what_the_server_refuses(raw: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        raw.upsert("raw", ["a"], vectors=np.ones((1, DIM + 1)))
    assert caught.value.field_violations[0].field == "points.vectors.dim"
    with pytest.raises(FailedPreconditionError, match="read-only"):
        raw.delete("words", "king")
    with pytest.raises(NotFoundError):
        raw.count("nope")
    with pytest.raises(FilterSyntaxError):
        raw.count("raw", filter={"year": {"in": 3}})


async def test_writers_at_once(async_client: AsyncClient) -> None:
    await async_client.create_collection("raw", dim=DIM)
    given = rows(200)
    await asyncio.gather(
        *(async_client.upsert("raw", [f"p{i}"], vectors=given[i : i + 1]) for i in range(200))
    )
    assert await async_client.count("raw") == 200
    async for point in async_client.scroll("raw", with_vectors=True):
        assert point.vector is not None
        np.testing.assert_array_equal(point.vector, given[int(point.id[1:])])
