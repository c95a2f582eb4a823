"""One collection: what is accepted, written, read and found."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from index.base import Collection, SearchRequest
from index.engine import FaissEngine
from index.errors import FilterError, InvalidPointError, PointNotFoundError, QueryError
from index.filter import Condition, Op
from index.options import EngineOptions
from index.types import CollectionSpec, FieldType, Metric, Points, SearchParameters

DIM = 6
ROWS = np.random.default_rng(7).standard_normal((300, DIM), dtype=np.float32)
YEARS = Condition("year", Op.GTE, 200)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    engine = FaissEngine(tmp_path, options=EngineOptions(threads=1, seal_rows=100))
    yield engine
    engine.close()


@pytest.fixture
def collection(engine: FaissEngine) -> Collection:
    return engine.create("c", CollectionSpec(DIM, fields={"year": FieldType.INT}))


def fill(collection: Collection) -> None:
    payloads = [orjson.dumps({"year": i}) for i in range(len(ROWS))]
    for first in range(0, len(ROWS), 70):
        part = slice(first, first + 70)
        ids = [f"p{i}" for i in range(first, min(first + 70, len(ROWS)))]
        collection.upsert(Points(ids, ROWS[part], payloads[part], ["key"] * len(ids)))


def test_what_ids_and_payloads_refuse_is_known_without_vectors(collection: Collection) -> None:
    ids = ["a", "", "b", "a", "x" * 513, "c", "d", "e"]
    payloads = [b"{}", b"{}", b"[]", b"{}", b"{}", b'{"year": "2"}', b'{"year": 3}', b"{"]
    early = collection.unacceptable(ids, payloads)
    rows = np.ones((len(ids), DIM), dtype=np.float32)
    late = collection.upsert(Points(ids, rows, payloads)).rejected
    assert sorted(early) == sorted(late) == [1, 2, 3, 4, 5, 7]
    assert [str(early[i]) for i in early] == [str(late[i]) for i in early]
    assert collection.unacceptable(["a", "b"], None) == {}


def test_bad_points_fail_alone(collection: Collection) -> None:
    ids = ["good", "", "x" * 513, "ä" * 256, "ä" * 257, "good", "nan", "inf", "zero", "\ud800"]
    ids += ["list", "text", "bytes", "year", "large", "kind", "fine"]
    rows = np.ones((len(ids), DIM), dtype=np.float32)
    rows[ids.index("nan"), 2] = np.nan
    rows[ids.index("inf"), 2] = np.inf
    rows[ids.index("zero")] = 0
    payloads = [b"{}"] * len(ids)
    bad = {
        "list": b"[1]",
        "text": b"{'a'",
        "bytes": b'{"a": "\xff"}',
        "year": b'{"year": "x"}',
        "large": orjson.dumps({"a": "x" * 65536}),
    }
    for name, payload in bad.items():
        payloads[ids.index(name)] = payload
    modalities = ["", *["text"] * (len(ids) - 1)]
    modalities[ids.index("kind")] = "smell"
    result = collection.upsert(Points(ids, rows, payloads, modalities))
    assert sorted(result.rejected) == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    assert all(isinstance(error, InvalidPointError) for error in result.rejected.values())
    assert result.rejected[5].field == "ids"
    assert result.rejected[6].field == "vectors"
    assert result.rejected[13].field == "payload.year"
    assert result.written == 3
    assert list(collection.scan().points.ids) == ["good", "ä" * 256, "fine"]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20, 3e37])
def test_cosine_scales_rows_of_any_size(collection: Collection, scale: float) -> None:
    row = (ROWS[:1] * np.float32(scale)).astype(np.float32)
    collection.upsert(Points(["a"], row))
    points, _ = collection.get(["a"], with_vectors=True)
    expected = ROWS[0].astype(np.float64) / np.linalg.norm(ROWS[0].astype(np.float64))
    assert points.vectors is not None
    np.testing.assert_allclose(points.vectors[0], expected, atol=1e-6)
    hits = collection.search(SearchRequest(row, 1))
    np.testing.assert_allclose(hits.scores, [1.0], atol=1e-5)


def test_refuses_rows_of_another_shape(collection: Collection) -> None:
    with pytest.raises(QueryError):
        collection.upsert(Points(["a"], np.ones((1, DIM + 1), np.float32)))
    with pytest.raises(QueryError):
        collection.upsert(Points(["a"], np.ones((2, DIM), np.float32)))
    with pytest.raises(QueryError):
        collection.upsert(Points(["a"]))


def test_refuses_queries(collection: Collection) -> None:
    fill(collection)
    bad = [np.ones((1, DIM + 1)), np.zeros((1, DIM)), np.full((1, DIM), np.nan), np.ones(DIM)]
    for queries in bad:
        with pytest.raises(QueryError) as caught:
            collection.search(SearchRequest(queries.astype(np.float32)))
        assert caught.value.field == "vectors"
    with pytest.raises(QueryError):
        collection.search(SearchRequest(ROWS[:1], k=0))
    with pytest.raises(FilterError):
        collection.search(SearchRequest(ROWS[:1], filter=Condition("other", Op.EQ, 1)))
    for call in (collection.count, collection.delete):
        with pytest.raises(FilterError):
            call(Condition("other", Op.EQ, 1))


def test_search_returns_what_was_asked_for(collection: Collection) -> None:
    fill(collection)
    scaled = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    request = SearchRequest(
        ROWS[:3], 4, YEARS, SearchParameters(exact=True), with_payload=True, with_vectors=True
    )
    hits = collection.search(request)
    order = np.argsort(-(scaled[:3] @ scaled[200:].T), axis=1)[:, :4] + 200
    assert list(hits.points.ids) == [f"p{i}" for i in order.reshape(-1)]
    assert hits.points.payloads == [b'{"year":%d}' % i for i in order.reshape(-1)]
    assert hits.points.modalities == ["key"] * 12
    assert hits.points.vectors is not None
    np.testing.assert_allclose(hits.points.vectors, scaled[order.reshape(-1)], atol=1e-6)
    assert hits.plan.selectivity == pytest.approx(1 / 3)
    assert sum(part.candidates for part in hits.plan.segments) == 100


def test_score_threshold_leaves_lower_scores_out(collection: Collection) -> None:
    fill(collection)
    every = collection.search(SearchRequest(ROWS[:2], 50))
    threshold = float(np.median(every.scores))
    some = collection.search(SearchRequest(ROWS[:2], 50, score_threshold=threshold))
    np.testing.assert_array_equal(some.scores, every.scores[every.scores >= threshold])
    assert some.counts.sum() == len(some.scores) == len(some.points.ids)


def test_equal_scores_come_in_the_order_of_writing(collection: Collection) -> None:
    ids = [f"p{i}" for i in range(260)]
    for first in range(0, 260, 20):
        # unit vectors, so that no product is rounded
        rows = np.repeat(np.eye(1, DIM, dtype=np.float32), 20, axis=0)
        collection.upsert(Points(ids[first : first + 20], rows))
    hits = collection.search(SearchRequest(np.eye(1, DIM, dtype=np.float32), 130))
    assert list(hits.points.ids) == ids[:130]


def test_get_keeps_the_order_asked(collection: Collection) -> None:
    fill(collection)
    points, missing = collection.get(["p5", "no", "p2", "p5", "\ud800"], with_payload=False)
    assert (list(points.ids), points.payloads, missing) == (["p5", "p2", "p5"], None, [1, 4])
    many, missing = collection.get([f"p{i}" for i in range(299, -1, -1)])
    assert list(many.ids) == [f"p{i}" for i in range(299, -1, -1)]
    assert missing == []


def test_scan_goes_on_while_points_are_written(collection: Collection) -> None:
    fill(collection)
    first = collection.scan(limit=150)
    collection.upsert(Points(["p10", "p290", "new"], ROWS[:3]))
    collection.delete(["p151"])
    second = collection.scan(first.cursor, 500)
    expected = [f"p{i}" for i in range(150, 300) if i not in (151, 290)] + ["p10", "p290", "new"]
    assert list(second.points.ids) == expected
    assert second.cursor == ""


def test_scan_with_a_filter(collection: Collection) -> None:
    fill(collection)
    found: list[str] = []
    cursor = ""
    while True:
        page = collection.scan(cursor, 33, filter=YEARS)
        found += page.points.ids
        cursor = page.cursor
        if not cursor:
            break
    assert found == [f"p{i}" for i in range(200, 300)]


@pytest.mark.parametrize("cursor", ["x", "s", "sxyz", "5", "s-0x"])
def test_refuses_other_cursors(collection: Collection, cursor: str) -> None:
    with pytest.raises(QueryError):
        collection.scan(cursor)


def test_update_payload(collection: Collection) -> None:
    fill(collection)
    result = collection.update_payload(
        ["p1", "no", "p2"], b'{"tag": "x", "year": 1000}', remove_keys=["gone"]
    )
    assert (result.written, list(result.rejected)) == (2, [1])
    assert isinstance(result.rejected[1], PointNotFoundError)
    points, _ = collection.get(["p1"])
    assert points.payloads == [b'{"year":1000,"tag":"x"}']
    assert collection.count(Condition("year", Op.EQ, 1000)) == 2
    collection.update_payload(Condition("year", Op.EQ, 1000), b"", remove_keys=["year"])
    assert collection.count(Condition("year", Op.EXISTS, True)) == 298
    collection.update_payload(["p1"], b'{"a": 1}', replace=True)
    assert collection.get(["p1", "p2"])[0].payloads == [b'{"a":1}', b'{"tag":"x"}']
    assert list(collection.scan(limit=3).points.ids) == ["p0", "p1", "p2"]
    with pytest.raises(InvalidPointError):
        collection.update_payload(["p1"], b'{"year": "x"}')
    with pytest.raises(InvalidPointError):
        collection.update_payload(["p1"], b"[]")


def test_a_payload_that_grows_too_large_is_rejected(collection: Collection) -> None:
    collection.upsert(Points(["a", "b"], ROWS[:2], [orjson.dumps({"x": "y" * 60000}), b"{}"]))
    result = collection.update_payload(["a", "b"], orjson.dumps({"z": "y" * 10000}))
    assert (result.written, list(result.rejected)) == (1, [0])
    assert "z" not in orjson.loads((collection.get(["a"])[0].payloads or [b""])[0])


def test_filters_read_modality(collection: Collection) -> None:
    fill(collection)
    collection.upsert(Points(["img"], ROWS[:1], None, ["image"]))
    assert collection.count(Condition("modality", Op.EQ, "image")) == 1
    assert collection.count(Condition("modality", Op.EQ, "key")) == 300


def test_a_field_declared_later_is_read_from_old_points(engine: FaissEngine) -> None:
    collection = engine.create("c", CollectionSpec(DIM))
    fill(collection)
    collection.update_payload(["p0"], b'{"year": 999}')
    collection.update(add_fields={"year": FieldType.INT})
    collection.upsert(Points(["new"], ROWS[:1], [b'{"year": 500}']))
    assert collection.count(YEARS) == 102
    assert collection.info.spec.fields == {"year": FieldType.INT}
    collection.update_payload(["p1"], b'{"year": 999}')
    assert collection.count(YEARS) == 103


def test_blocks_and_their_ids(collection: Collection) -> None:
    fill(collection)
    collection.delete(["p0", "p150"])
    blocks = list(collection.blocks())
    slots = np.concatenate([block[0] for block in blocks])
    rows = np.concatenate([block[1] for block in blocks])
    ids = [f"p{i}" for i in range(300) if i not in (0, 150)]
    assert collection.ids_of(slots) == ids
    assert collection.ids_of(slots[::-1][:5]) == ids[::-1][:5]
    kept = np.delete(ROWS, [0, 150], axis=0)
    np.testing.assert_allclose(rows, kept / np.linalg.norm(kept, axis=1, keepdims=True), atol=1e-6)
    collection.delete(["p7"])
    assert collection.ids_of(slots).count("") == 1
    limited = list(collection.blocks(limit=117))
    assert sum(len(block[0]) for block in limited) == 117


@pytest.mark.parametrize("metric", list(Metric))
def test_metrics_equal_their_definitions(engine: FaissEngine, metric: Metric) -> None:
    collection = engine.create("m", CollectionSpec(DIM, metric))
    collection.upsert(Points([f"p{i}" for i in range(300)], ROWS))
    queries = ROWS[:5] + 0.1
    hits = collection.search(SearchRequest(queries, 7))
    if metric is Metric.L2:
        scores = -((queries[:, None] - ROWS[None]) ** 2).sum(axis=2)
    else:
        scores = queries @ ROWS.T
    if metric is Metric.COSINE:
        scores /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(ROWS, axis=1)
    order = np.argsort(-scores, axis=1)[:, :7]
    assert list(hits.points.ids) == [f"p{i}" for i in order.reshape(-1)]
    expected = np.take_along_axis(scores, order, axis=1).reshape(-1)
    np.testing.assert_allclose(hits.scores, expected, rtol=1e-4, atol=1e-5)


def test_ids_of_any_characters(collection: Collection) -> None:
    ids = ["a\0b", "a\0c", "a", "'; DROP TABLE points; --", "\n", "ä", "a\u0308", "😀"]
    collection.upsert(Points(ids, ROWS[: len(ids)]))
    assert list(collection.get(ids)[0].ids) == ids
    assert collection.delete(["a\0b", "\ud800", "none"]).written == 1
    assert list(collection.scan().points.ids) == ids[1:]
    result = collection.update_payload(["\ud800", "ä"], b'{"x": 1}')
    assert (result.written, list(result.rejected)) == (1, [0])


def test_no_queries_have_no_hits(collection: Collection) -> None:
    fill(collection)
    hits = collection.search(SearchRequest(np.empty((0, DIM), np.float32), 5))
    assert (len(hits.points), hits.counts.tolist()) == (0, [])


def test_asking_for_more_than_there_is(collection: Collection) -> None:
    fill(collection)
    hits = collection.search(SearchRequest(ROWS[:2], 1000, with_payload=True))
    assert hits.counts.tolist() == [300, 300]
    assert sorted(hits.points.ids[:300]) == sorted(f"p{i}" for i in range(300))
