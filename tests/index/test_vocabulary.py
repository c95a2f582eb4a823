"""Vocabularies as read-only collections."""

from collections.abc import Callable

import numpy as np
import pytest

from embedders.vectors import FloatRows, normalize_rows
from index.base import Collection, SearchRequest
from index.errors import FilterError, QueryError, ReadOnlyError
from index.filter import Condition, Op
from index.types import CollectionSpec, FieldType, Metric, Points, SearchParameters
from index.vocabulary import VocabularyCollection

COUNT, DIM = 20_000, 24
KEYS = [f"w{number}" for number in range(COUNT)]
COUNTS = np.arange(COUNT, 0, -1)


def matrix() -> FloatRows:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((COUNT, DIM)) * rng.uniform(0.5, 3, (COUNT, 1))).astype(np.float32)


MATRIX = matrix()


@pytest.fixture(scope="module")
def words() -> VocabularyCollection:
    return VocabularyCollection("words", KEYS, MATRIX, CollectionSpec(DIM), COUNTS, 17)


def test_it_describes_itself(words: VocabularyCollection) -> None:
    info = words.info
    assert (info.name, info.points, info.recipe, info.created_ns) == ("words", COUNT, "exact", 17)
    assert info.read_only
    assert info.spec.fields == {"count": FieldType.INT}
    bare = VocabularyCollection("bare", ["a"], MATRIX[:1], CollectionSpec(DIM))
    assert bare.info.spec.fields == {}


@pytest.mark.parametrize("metric", list(Metric))
def test_search_agrees_with_a_full_sort(metric: Metric) -> None:
    words = VocabularyCollection("words", KEYS, MATRIX, CollectionSpec(DIM, metric=metric))
    queries = MATRIX[100:130] + np.float32(0.1)
    hits = words.search(SearchRequest(queries, 7, params=SearchParameters(ef=3)))
    rows, asked = MATRIX.astype(np.float64), queries.astype(np.float64)
    if metric is Metric.COSINE:
        rows /= np.linalg.norm(rows, axis=1)[:, None]
        asked /= np.linalg.norm(asked, axis=1)[:, None]
    scores = asked @ rows.T
    if metric is Metric.L2:
        scores = 2 * scores - (rows**2).sum(axis=1) - (asked**2).sum(axis=1)[:, None]
    order = np.argsort(-scores, axis=1)[:, :7]
    assert list(hits.points.ids) == [KEYS[place] for place in order.ravel()]
    np.testing.assert_allclose(
        hits.scores, np.take_along_axis(scores, order, axis=1).ravel(), atol=2e-4
    )
    assert hits.counts.tolist() == [7] * 30


def test_filter_and_threshold(words: VocabularyCollection) -> None:
    rare = Condition("count", Op.LTE, 50)
    hits = words.search(SearchRequest(MATRIX[:3], 100, filter=rare, with_payload=True))
    assert hits.counts.tolist() == [50] * 3
    assert set(hits.points.ids) == set(KEYS[-50:])
    assert hits.points.payloads is not None
    assert hits.points.payloads[0] == b'{"count":%d}' % COUNTS[KEYS.index(hits.points.ids[0])]
    assert hits.plan.selectivity == pytest.approx(50 / COUNT)
    hits = words.search(SearchRequest(MATRIX[:3], 100, score_threshold=0.999))
    assert list(hits.points.ids) == KEYS[:3]
    common = Condition("count", Op.GT, COUNT // 2)
    assert words.count(common) == COUNT // 2
    assert words.count() == COUNT
    hits = words.search(SearchRequest(MATRIX[-5:], 3, filter=common))
    assert all(KEYS.index(key) < COUNT // 2 for key in hits.points.ids)
    with pytest.raises(FilterError):
        words.search(SearchRequest(MATRIX[:1], filter=Condition("size", Op.EQ, 1)))


def test_get_gives_the_models_own_vectors(words: VocabularyCollection) -> None:
    points, missing = words.get(["w5", "nobody", "w2", "w5"], with_vectors=True)
    assert points.ids == ["w5", "w2", "w5"]
    assert missing == [1]
    np.testing.assert_array_equal(points.vectors, MATRIX[[5, 2, 5]])
    assert points.payloads == [b'{"count":19995}', b'{"count":19998}', b'{"count":19995}']
    assert points.modalities == ["key"] * 3
    assert words.get(["w1"], with_payload=False)[0].payloads is None


@pytest.mark.parametrize("some", [None, Condition("count", Op.LT, 1000)])
def test_scan_gives_every_key_once(words: VocabularyCollection, some: Condition | None) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = words.scan(cursor, 333, filter=some)
        seen += page.points.ids
        cursor = page.cursor
        if not cursor:
            break
    assert seen == (KEYS if some is None else KEYS[-999:])


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "²"])
def test_a_foreign_cursor_is_refused(words: VocabularyCollection, cursor: str) -> None:
    with pytest.raises(QueryError):
        words.scan(cursor)


def test_blocks_are_unit_rows_in_order(words: VocabularyCollection) -> None:
    slots, rows = (np.concatenate(part) for part in zip(*words.blocks(), strict=True))
    np.testing.assert_array_equal(slots, np.arange(COUNT))
    np.testing.assert_array_equal(rows, normalize_rows(MATRIX))
    assert sum(len(part) for part, _ in words.blocks(17_000)) == 17_000
    assert words.ids_of(np.array([3, 0])) == ["w3", "w0"]
    ids = ["w3", "nobody", "w0", "w3"]
    assert words.slots_of(ids).tolist() == [3, -1, 0, 3]
    assert Collection.slots_of(words, ids).tolist() == [3, -1, 0, 3]


@pytest.mark.parametrize(
    "write",
    [
        lambda words: words.upsert(Points(["a"], MATRIX[:1])),
        lambda words: words.delete(["w1"]),
        lambda words: words.update_payload(["w1"], b"{}"),
        lambda words: words.update(recipe="hnsw"),
    ],
)
def test_writes_are_refused(
    words: VocabularyCollection, write: Callable[[VocabularyCollection], None]
) -> None:
    with pytest.raises(ReadOnlyError, match="'words' is read-only"):
        write(words)
    assert words.count() == COUNT


def test_bad_queries_are_refused(words: VocabularyCollection) -> None:
    for queries in (np.ones((1, 3)), np.full((1, DIM), np.nan), np.zeros((1, DIM))):
        with pytest.raises(QueryError):
            words.search(SearchRequest(queries.astype(np.float32)))


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 keys"):
        VocabularyCollection("words", ["a", "b"], MATRIX[:3], CollectionSpec(DIM))
