"""One item that cannot be sent fails alone, with its position; the others are done."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentspace import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    LatentspaceError,
    NewPoint,
    PartialError,
    image,
    text,
    vector,
)
from tests.long import examples

local = pytest.importorskip("services.app.local", reason="the server is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {"toy": {"family": "hash", "options": {"dim": 8}}}
    with local.LocalServer(tmp_path_factory.mktemp("one-bad"), {"models": models}) as server:
        with Client(server.address) as client:
            client.create_collection("plain", dim=2)
            client.create_collection("notes", model="toy")
            client.upsert("notes", ["one"], texts=["one"])
        yield server.address


@pytest.fixture(scope="module")
def plain(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


class Missing:
    """pandas' NA: comparing it gives itself, and that has no truth value."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


Missing.__name__ = "NAType"
BAD_TEXTS: list[Any] = [None, float("nan"), 3, b"bytes", ["a"], "\ud800", Missing(), np.float32(2)]
BAD_IDS: list[Any] = [None, 3, np.int64(3), float("nan"), b"a", "\ud800"]
BAD_PAYLOADS: list[Any] = [
    *({"x": float("nan")}, {"x": {"y": [1, float("inf")]}}, {"x": object()}, {"x": {1, 2}}),
    *({"x": 1j}, {"x": np.timedelta64(3, "s")}, [1], "text", 3, {"x": np.array([np.nan])}),
    {"x": b"bytes"},
]
BAD_ROWS: list[Any] = [
    *(None, [1.0], [1.0, None], [1.0, "a"], "ab", [1, 2j], 3.0, [[1.0, 2.0]], [1e39, 0]),
    *([float("nan"), 1.0], np.ma.masked_array([1.0, 2.0], [True, False]), {"a": 1}),
]


class NotArray:
    """As a tensor of PyTorch that needs a gradient, or lies on a GPU."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("it must be moved to the host first")


def failing(errors: Any, position: int, name: str = "") -> None:
    """Nothing failed but this position, and its error says so."""
    assert list(errors) == [position]
    error = errors[position]
    assert isinstance(error, LatentspaceError)
    if name:
        assert f"{name}[{position}]" in str(error)


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("bad", range(len(BAD_TEXTS)))
def test_embed(client: Client, position: int, bad: int) -> None:
    texts: list[Any] = ["a", "b", "c"]
    texts[position] = BAD_TEXTS[bad]
    batch = client.embed_batch("toy", texts=texts, on_error="return")
    failing(batch.errors, position, "texts")
    assert batch.inputs == 3
    assert batch.index.tolist() == [i for i in range(3) if i != position]
    assert batch.token_counts[position] == 0
    good = client.embed("toy", texts=["a", "b", "c"])
    rows = client.embed("toy", texts=texts, on_error="return")
    expected = good.copy()
    expected[position] = np.nan
    np.testing.assert_array_equal(rows, expected)
    with pytest.raises(PartialError) as caught:
        client.embed("toy", texts=texts)
    failing(caught.value.errors, position, "texts")
    assert caught.value.vectors is not None
    np.testing.assert_array_equal(caught.value.vectors, expected)
    with pytest.raises(InvalidArgumentError, match=r"expected a string|Unicode"):
        client.embed("toy", texts=[BAD_TEXTS[bad]])


@pytest.mark.parametrize(
    "bad",
    [
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.ma.masked_array([[1.0, 2.0]], [[True, False]])[0],
        NotArray(),
    ],
)
def test_one_vector(client: Client, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"masked|moved to the host"):
        client.search("plain", vector=bad, k=1)
    with pytest.raises(InvalidArgumentError, match=r"masked|moved to the host"):
        vector(bad)


def test_all_of_a_batch(client: Client) -> None:
    batch = client.embed_batch("toy", texts=[None, None], on_error="return")  # type: ignore[list-item]
    assert (list(batch.errors), batch.inputs, len(batch)) == ([0, 1], 2, 0)
    with pytest.raises(InvalidArgumentError, match="empty"):
        client.embed("toy", texts=[])
    result = client.search_batch("notes", texts=[None, None], k=3, on_error="return")  # type: ignore[list-item]
    assert result.counts.tolist() == [0, 0]
    assert list(result.errors) == [0, 1]
    written = client.upsert("plain", [1, 2], vectors=[[1, 2]] * 2, on_error="return")  # type: ignore[list-item]
    assert (written.written, list(written.errors)) == (0, [0, 1])


def test_missing_files(client: Client, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for source in (tmp_path / "missing.png", tmp_path / "folder", "https://example.com/a.png", 3):
        inputs: list[Any] = [text("a"), text("b")]
        inputs.insert(1, image(source))  # type: ignore[arg-type]
        batch = client.embed_batch("toy", inputs=inputs, on_error="return")
        failing(batch.errors, 1, "inputs")
        with pytest.raises(InvalidArgumentError):
            client.embed("toy", image=source)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError):
            client.search("notes", image=source)  # type: ignore[arg-type]


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("kind", ["ids", "payloads", "vectors"])
def test_upsert(client: Client, kind: str, position: int) -> None:
    for bad in {"ids": BAD_IDS, "payloads": BAD_PAYLOADS, "vectors": BAD_ROWS}[kind]:
        columns: dict[str, list[Any]] = {
            "ids": ["1", "2", "3"],
            "payloads": [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}],
            "vectors": [[1, 2], [3, 4], [5, 6]],
        }
        columns[kind][position] = bad
        client.delete("plain", ["1", "2", "3"])
        result = client.upsert("plain", **columns, on_error="return")  # type: ignore[arg-type]
        assert result.written == 2, bad
        failing(result.errors, position, "" if kind == "vectors" else kind)
        kept = [i for i in range(3) if i != position]
        points = client.get("plain", [columns["ids"][i] for i in kept])
        assert [p.payload for p in points] == [columns["payloads"][i] for i in kept]
        with pytest.raises(PartialError) as caught:
            client.upsert("plain", **columns)  # type: ignore[arg-type]
        failing(caught.value.errors, position)


def test_an_integer_id_names_its_cure(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match=r"ids\[0\]: .*str\(id\)"):
        client.upsert("plain", [7], vectors=[[1, 2]])  # type: ignore[list-item]


def test_upsert_of_texts(client: Client) -> None:
    result = client.upsert(
        "notes",
        ["a", "b", "a", "d", "e"],
        texts=["x", None, "y", "z", 5],  # type: ignore[list-item]
        payloads=[None, {}, {}, {"n": float("nan")}, {}],
        keep_text="text",
        on_error="return",
    )
    assert result.written == 1
    assert list(result.errors) == [1, 2, 3, 4]
    assert "inputs[1]" in str(result.errors[1])
    assert "already" in str(result.errors[2])
    assert "payloads[3].n" in str(result.errors[3])


@dataclass(frozen=True)
class Call:
    """A call of three items of which one is bad, and what came of the others."""

    run: Callable[[Client, list[Any], Any], Any]
    good: Any
    bad: Any


CALLS: dict[str, Call] = {
    "search_batch, texts": Call(
        lambda c, items, on: c.search_batch("notes", texts=items, k=1, on_error=on), "one", None
    ),
    "search_batch, vectors": Call(
        lambda c, items, on: c.search_batch("plain", vectors=items, k=1, on_error=on), [1, 2], None
    ),
    "search_batch, points": Call(
        lambda c, items, on: c.search_batch("notes", points=items, k=1, on_error=on), "one", 3
    ),
    "search_batch, queries": Call(
        lambda c, items, on: c.search_batch("notes", queries=items, k=1, on_error=on),
        text("one"),
        text(3),  # type: ignore[arg-type]
    ),
    "classify": Call(
        lambda c, items, on: c.classify("toy", texts=items, labels=["a", "b"], on_error=on),
        "a",
        float("nan"),
    ),
    "compare": Call(
        lambda c, items, on: c.compare("toy", texts=items, on_error=on), ("a", "a"), ("a", None)
    ),
}


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("name", CALLS)
def test_other_calls(client: Client, name: str, position: int) -> None:
    call = CALLS[name]
    items = [call.good] * 3
    whole = call.run(client, items, "raise")
    items[position] = call.bad
    with pytest.raises(PartialError) as caught:
        call.run(client, items, "raise")
    failing(caught.value.errors, position)
    result = call.run(client, items, "return")
    assert len(result) == 3
    for i, (ours, good) in enumerate(zip(result, whole, strict=True)):
        if name == "compare":
            assert (ours == good) is (i != position)
        elif i == position:
            assert ours == []
        else:
            assert [getattr(x, "id", x) for x in ours] == [getattr(x, "id", x) for x in good]


@pytest.mark.parametrize("items", [["a", None, "b"], [None, "a"], ["a", None], [None], [None] * 5])
@pytest.mark.parametrize("batch_items", [1, 2, 256])
def test_embed_stream(client: Client, items: list[Any], batch_items: int) -> None:
    batches = list(
        client.embed_stream("toy", texts=items, batch_items=batch_items, on_error="return")
    )
    assert sum(batch.inputs for batch in batches) == len(items)
    start, failed = 0, []
    for batch in batches:
        failed += [start + i for i in batch.errors]
        for row, place in zip(batch.rows, batch.index.tolist(), strict=True):
            np.testing.assert_array_equal(row, client.embed("toy", text=items[start + place]))
        start += batch.inputs
    assert failed == [i for i, item in enumerate(items) if item is None]


@pytest.mark.parametrize("batch_items", [1, 2, 256])
def test_upsert_stream(client: Client, batch_items: int) -> None:
    points: list[Any] = [
        NewPoint("s0", vector([1, 2])),
        NewPoint(5, vector([1, 2])),  # type: ignore[arg-type]
        NewPoint("s2", vector([1, 2]), {"x": float("nan")}),
        NewPoint("s3", vector([3, 4]), {"x": 1.0}),
        "no point",
        NewPoint("s5", vector([5, 6])),
        NewPoint("s6", text(None)),  # type: ignore[arg-type]
    ]
    batches = list(
        client.upsert_stream("plain", points, batch_items=batch_items, on_error="return")
    )
    ids = [name for batch in batches for name in batch.ids]
    assert ids == ["s0", "5", "s2", "s3", "", "s5", "s6"]
    assert sum(batch.written for batch in batches) == 3
    start, failed = 0, []
    for batch in batches:
        failed += [start + i for i in batch.errors]
        start += len(batch.ids)
    assert failed == [1, 2, 4, 6]
    assert len(client.get("plain", ["s0", "s3", "s5"])) == 3


def test_series_and_moments(client: Client) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    rows = pd.Series([[1.0, 2.0], [3.0, 4.0]])
    assert client.upsert("plain", ["x", "y"], vectors=rows).written == 2
    arrays = pd.Series([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    assert client.upsert("plain", pd.Series(["x", "y"]), vectors=arrays).written == 2
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1.5, 2.5]})
    result = client.upsert("plain", ["p", "q"], vectors=frame, on_error="return")
    failing(result.errors, 1, "vectors")
    payload = {
        "ns": np.datetime64("2024-01-05", "ns"),
        "days": np.datetime64("2024-01-05"),
        "stamp": pd.Timestamp("2024-01-05T10:00", tz="UTC"),
        "none": pd.NaT,
        "na": pd.NA,
        "count": np.int64(3),
        "times": np.array(["2024-01-05"], "datetime64[ns]"),
    }
    client.upsert("plain", ["t"], vectors=[[1, 2]], payloads=[payload])
    assert client.get("plain", "t")[0].payload == {
        "ns": "2024-01-05T00:00:00.000000000Z",
        "days": "2024-01-05T00:00:00Z",
        "stamp": "2024-01-05T10:00:00+00:00",
        "none": None,
        "na": None,
        "count": 3,
        "times": ["2024-01-05T00:00:00.000000000Z"],
    }
    for rows, problem in (
        (np.array([[1 + 2j, 3]]), "complex128"),
        (np.array([["1", "2"]]), "<U1"),
        (["ab"], "not a vector of numbers"),
        (np.array([["2024-01-05", "2024-01-06"]], "datetime64[D]"), "datetime64"),
        (np.array([[1e39, 0]]), "range of float32"),
    ):
        with pytest.raises(InvalidArgumentError, match=problem):
            client.upsert("plain", ["c"], vectors=rows)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.sampled_from(["a", "b c", None, float("nan"), 3]), min_size=2, max_size=12))
def test_any_batch(plain: Client, items: list[Any]) -> None:
    bad = [i for i, item in enumerate(items) if not isinstance(item, str)]
    batch = plain.embed_batch("toy", texts=items, on_error="return")
    assert list(batch.errors) == bad
    assert batch.index.tolist() == [i for i in range(len(items)) if i not in bad]
    result = plain.search_batch("notes", texts=items, k=1, on_error="return")
    assert list(result.errors) == bad
    assert result.counts.tolist() == [int(i not in bad) for i in range(len(items))]


def test_awaited(address: str) -> None:
    async def use() -> list[int]:
        async with AsyncClient(address) as client:
            batch = await client.embed_batch("toy", texts=["a", None], on_error="return")  # type: ignore[list-item]
            return list(batch.errors)

    assert asyncio.run(use()) == [1]
