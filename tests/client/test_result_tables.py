"""Results as pandas and Arrow tables, cell by cell."""

import json
import sys
from typing import Any

import numpy as np
import pytest

from latentspace import (
    Comparison,
    EmbeddingBatch,
    Embeddings,
    EvaluationReport,
    Figure,
    Identified,
    InvalidArgumentError,
    Label,
    Match,
    Modality,
    Model,
    ModelState,
    OperationState,
    Page,
    Point,
    Region,
    SearchResult,
    Task,
)
from latentspace.results.listing import Listing
from latentspace.results.operation import OperationData
from latentspace.results.search import matches_of, result_of
from latentspace.tables import columns_of, to_arrow, to_pandas
from latentspace.v1 import search_service_pb2 as pb
from latentspace.v1 import types_pb2 as types
from latentspace.vectors import as_rows, pack

pd = pytest.importorskip("pandas", reason="pandas is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

Rows = list[dict[str, Any]]
ROWS = np.arange(10, dtype=np.float32).reshape(5, 2)


def reply(**more: Any) -> pb.SearchResponse:
    """Two hits of the first query, none of the second, three of the third."""
    scores = np.array([0.5, 0.25, 1.0, 0.75, -0.5], "<f4").tobytes()
    results = pb.SearchResults(ids=list("abcde"), scores=scores, counts=[2, 0, 3], **more)
    return pb.SearchResponse(results=results)


FULL = reply(
    payloads=[b"{}", b'{"n": 1}', b'{"n": "x"}', b'{"m": [1, 2]}', '{"ü": null}'.encode()],
    modalities=[types.MODALITY_IMAGE, types.MODALITY_TEXT, 0, 0, types.MODALITY_IMAGE],
    groups=['"red"', '"blue"', '"red"', '"red"', '"é"'],
    vectors=pack(as_rows(ROWS)),
)
BARE = [(0, 1, "a", 0.5), (0, 2, "b", 0.25), (2, 1, "c", 1.0), (2, 2, "d", 0.75), (2, 3, "e", -0.5)]
PAYLOADS: list[Any] = [{}, {"n": 1}, {"n": "x"}, {"m": [1, 2]}, {"ü": None}]
KINDS = ["image", "text", None, None, "image"]
GROUPS = ["red", "blue", "red", "red", "é"]


def from_pandas(table: Any) -> Rows:
    """Rows, absent values as None."""
    columns = {name: table[name].tolist() for name in table}
    return [
        {
            str(n): None if v is None or v is pd.NA or v != v else v
            for n, v in zip(columns, row, strict=True)
        }
        for row in zip(*columns.values(), strict=True)
    ]


def from_arrow(table: Any) -> Rows:
    rows: Rows = table.to_pylist()
    return rows


def both(result: Any) -> Rows:
    """The rows of a result without vectors and payloads, which are the same in both."""
    rows = from_arrow(to_arrow(result))
    assert from_pandas(to_pandas(result)) == rows
    return rows


def test_searches() -> None:
    plain = result_of([(3, reply())], 3)
    names = ("query", "rank", "id", "score")
    assert both(plain) == [dict(zip(names, row, strict=True)) for row in BARE]
    whole = result_of([(3, FULL)], 3)
    frame, table = whole.to_pandas(), whole.to_arrow()
    assert list(frame) == table.column_names == [*names, "group", "modality", "payload", "vector"]
    for rows in (from_pandas(frame.drop(columns="vector")), from_arrow(table)):
        assert [tuple(row[n] for n in names) for row in rows] == BARE
        assert [row["group"] for row in rows] == GROUPS
        assert [row["modality"] for row in rows] == KINDS
    assert frame["payload"].tolist() == PAYLOADS
    assert [json.loads(text) for text in table["payload"].to_pylist()] == PAYLOADS
    np.testing.assert_array_equal(np.stack(frame["vector"].tolist()), ROWS)
    assert table["vector"].to_pylist() == ROWS.tolist()
    assert table["vector"].type == pa.list_(pa.float32(), 2)
    assert (frame["score"].dtype, table["score"].type) == (np.float32, pa.float32())


def test_matches() -> None:
    single = FULL.results
    found = matches_of(single)
    assert [match.group for match in found] == GROUPS
    table = to_arrow(found)
    assert table.column_names == ["rank", "id", "score", "group", "modality", "payload", "vector"]
    assert table["rank"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["modality"].to_pylist() == KINDS
    assert table["vector"].to_pylist() == ROWS.tolist()
    assert to_pandas(found)["payload"].tolist() == PAYLOADS
    assert both([Match("a", 0.5), Match("b", 0.25)]) == [
        {"rank": 1, "id": "a", "score": 0.5},
        {"rank": 2, "id": "b", "score": 0.25},
    ]
    assert both([Match("a", 0.5, group=False), Match("b", 0.25, modality=Modality.KEY)]) == [
        {"rank": 1, "id": "a", "score": 0.5, "group": False, "modality": None},
        {"rank": 2, "id": "b", "score": 0.25, "group": None, "modality": "key"},
    ]


def test_labels_and_comparisons() -> None:
    labels = [[Label("cat", 0.75), Label("dog", 0.25)], [], [Label("dog", 1.0)]]
    names = ("input", "rank", "label", "probability")
    expected = [(0, 1, "cat", 0.75), (0, 2, "dog", 0.25), (2, 1, "dog", 1.0)]
    assert both(labels) == [dict(zip(names, row, strict=True)) for row in expected]
    pairs = [Comparison(0.5, True, 0.25, 0.125), Comparison(0.125, False, 0.25, 0.125)]
    columns = ("pair", "score", "same", "threshold", "false_accept_rate")
    expected_pairs = [(0, 0.5, True, 0.25, 0.125), (1, 0.125, False, 0.25, 0.125)]
    assert both(pairs) == [dict(zip(columns, row, strict=True)) for row in expected_pairs]
    assert from_pandas(to_pandas([Comparison(0.5, None, None)])) == [
        {"pair": 0, "score": 0.5, "same": None, "threshold": None, "false_accept_rate": None}
    ]


def test_tables_of_several_calls_go_together() -> None:
    known, unknown = Comparison(0.5, True, 0.25, 0.125), Comparison(0.5, None, None)
    joined = pa.concat_tables([to_arrow([known]), to_arrow([unknown])])
    assert joined["threshold"].to_pylist() == [0.25, None]
    nobody = [[Identified(None, None, 0.5, 0.75)]]
    somebody = [[Identified("a", "Ann", 1.0, 0.75)]]
    assert pa.concat_tables([to_arrow(nobody), to_arrow(somebody)])["name"].to_pylist() == [
        None,
        "Ann",
    ]


def test_identified_and_embeddings() -> None:
    box = Region(1.0, 2.0, 3.0, 4.0, 0.5)
    place = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "quality": 0.5}
    faces = [[], [Identified("p1", "Ann", 0.75, 0.5, box), Identified(None, None, 0.25, 0.5, box)]]
    assert both(faces) == [
        {"input": 1, "id": "p1", "name": "Ann", "score": 0.75, "threshold": 0.5, **place},
        {"input": 1, "id": None, "name": None, "score": 0.25, "threshold": 0.5, **place},
    ]
    assert "x" not in columns_of([[Identified("a", "a", 1.0, 0.5)]])
    tokens = np.zeros(3, np.int64)
    batch = EmbeddingBatch(
        Embeddings(ROWS[:2]), np.array([0, 2]), "s", 3, tokens, regions=(box, box)
    )
    assert from_arrow(to_arrow(batch)) == [
        {"input": 0, "vector": [0.0, 1.0], **place},
        {"input": 2, "vector": [2.0, 3.0], **place},
    ]
    np.testing.assert_array_equal(np.stack(to_pandas(batch)["vector"].tolist()), ROWS[:2])


def test_nothing() -> None:
    nothing: list[Any] = [[], [[], []]]
    for empty in nothing:
        assert (len(to_pandas(empty)), to_arrow(empty).num_rows) == (0, 0)
    none = result_of([(2, pb.SearchResponse(results=pb.SearchResults(counts=[0, 0])))], 5)
    assert none.to_arrow().column_names == ["query", "rank", "id", "score"]
    assert len(none.to_pandas()) == 0
    for shape in ((0, 3), (0, 0)):
        index = np.zeros(0, np.int64)
        batch = EmbeddingBatch(Embeddings(np.zeros(shape)), index, "", 1, np.zeros(1, np.int64))
        assert (to_arrow(batch).num_rows, len(to_pandas(batch))) == (0, 0)


@pytest.mark.parametrize(
    "wrong", ["text", [1], [Match("a", 1.0), Label("b", 1.0)], [[Match("a", 1.0)]]]
)
def test_what_is_no_table(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expected what search"):
        to_pandas(wrong)


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    result: SearchResult = result_of([(3, reply())], 3)
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'latentspace\[pandas\]'"):
        result.to_pandas()
    with pytest.raises(ImportError, match=r"pip install 'latentspace\[arrow\]'"):
        result.to_arrow()
    assert result.columns()["id"].tolist() == list("abcde")


def test_parts_without_modalities() -> None:
    """A part whose points are all of unknown kinds sends none of them."""
    known = reply(modalities=list(FULL.results.modalities))
    result = result_of([(3, reply()), (3, known)], 3)
    kinds = [match.modality for matches in result for match in matches]
    assert kinds == [None] * 5 + [None if kind is None else Modality(kind) for kind in KINDS]


def test_points_pages_and_iterators() -> None:
    points = [
        Point("a", payload={"year": 2020, "id": 7}, modality=Modality.TEXT),
        Point("b", payload={"tag": ["x"], "_digest": "0"}),
    ]
    rows = [
        {"id": "a", "modality": "text", "payload": '{"year":2020,"id":7}'},
        {"id": "b", "modality": None, "payload": '{"tag":["x"],"_digest":"0"}'},
    ]
    for result in (points, Page(Listing(points), ""), iter(points)):
        assert from_arrow(to_arrow(result)) == rows
    assert to_pandas(points)["payload"].tolist() == [point.payload for point in points]
    assert from_arrow(to_arrow(points, payload_columns=True)) == [
        {"id": "a", "modality": "text", "year": 2020, "payload.id": 7, "tag": None},
        {"id": "b", "modality": None, "year": None, "payload.id": None, "tag": ["x"]},
    ]
    table = to_pandas(points, payload_columns=True)
    assert list(table) == ["id", "modality", "year", "payload.id", "tag"]
    assert table["year"].tolist()[0] == 2020
    assert list(to_pandas([Point("a", vector=ROWS[0])])["vector"][0]) == [0.0, 1.0]


def test_payload_fields_of_several_types_are_json_in_arrow() -> None:
    points = [Point("a", payload={"n": 1, "name": 2}), Point("b", payload={"n": "x"})]
    assert from_arrow(to_arrow(points, payload_columns=True)) == [
        {"id": "a", "n": "1", "name": "2"},
        {"id": "b", "n": '"x"', "name": None},
    ]


def test_reports() -> None:
    figures = (
        Figure("accuracy", 0.5, 0.25, 0.75, 40),
        Figure("accuracy/capital", 1.0, 1.0, 1.0, 2),
    )
    report = EvaluationReport("words", "s", Task.ANALOGIES, figures, 0.9)
    names = ("figure", "value", "low", "high", "items")
    assert both(report) == [
        dict(zip(names, ("accuracy", 0.5, 0.25, 0.75, 40), strict=True)),
        dict(zip(names, ("accuracy/capital", 1.0, 1.0, 1.0, 2), strict=True)),
    ]
    assert report.to_pandas()["value"].tolist() == [0.5, 1.0]


def test_models_and_operations() -> None:
    model = Model("clip", "clip", (Modality.TEXT, Modality.IMAGE), 384, "s", ModelState.READY)
    assert both([model]) == [
        {
            **{"id": "clip", "family": "clip", "modalities": "text, image", "dim": 384},
            **{"space_id": "s", "state": "ready", "state_reason": "", "device": ""},
        }
    ]
    failed = OperationData(
        "o", "train", "m", OperationState.FAILED, error=InvalidArgumentError("x")
    )
    (row,) = from_arrow(to_arrow([failed]))
    assert (row["id"], row["state"], row["error"]) == ("o", "failed", "x")
