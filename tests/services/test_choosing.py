"""What is chosen of ranked points, against plain loops over all points."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.engine import FaissEngine
from index.options import EngineOptions
from index.types import CollectionSpec, FieldType, Hits, Metric, Points
from services.runtime.choosing.base import Choice
from services.runtime.choosing.diversity import Diverse, marginal_relevance
from services.runtime.choosing.groups import Grouped
from services.runtime.choosing.pages import (
    Mark,
    Paged,
    Windowed,
    digest_of,
    next_mark,
    read_token,
    write_token,
)
from services.runtime.errors import DeadlineError, RequestError
from services.runtime.pools import Pools
from services.runtime.queries import Sought
from services.runtime.ranking import Ranking
from services.runtime.searching import NO_QUERIES, SearchLanes
from tests.index.oracle import Oracle

DIM = 4
R = TypeVar("R")
FIELDS = {"color": FieldType.KEYWORD, "year": FieldType.INT, "on": FieldType.BOOL}
METRICS = st.sampled_from(list(Metric))
PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """One collection of small segments, and the same points in dicts."""

    def __init__(self, folder: Path, metric: Metric, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.engine = FaissEngine(folder, options=EngineOptions(threads=1, seal_rows=64))
        spec = CollectionSpec(DIM, metric, "exact", fields=FIELDS)
        self.collection: Collection = self.engine.create("c", spec)
        self.oracle, self.pools = Oracle(metric), Pools(1)

    def rows(self, count: int) -> FloatRows:
        return self.random.standard_normal((count, DIM), dtype=np.float32)

    def write(self, ids: list[str], payloads: list[dict[str, Any]], rows: FloatRows) -> None:
        encoded = [orjson.dumps(payload) for payload in payloads]
        self.collection.upsert(Points(ids, rows, encoded, ["vector"] * len(ids)))
        self.oracle.upsert(ids, rows, payloads, "vector")

    def delete(self, ids: list[str]) -> None:
        self.collection.delete(ids)
        self.oracle.delete(ids)

    def ask(self, sought: Sought, work: Callable[[Ranking], Awaitable[R]], **wanted: Any) -> R:
        async def run() -> R:
            request = SearchRequest(NO_QUERIES, **wanted)
            return await work(Ranking(SearchLanes(self.pools), self.collection, sought, request))

        return asyncio.run(run())

    def choose(self, query: FloatRows, choice: Choice, k: int, **wanted: Any) -> Hits:
        return self.ask(near(query), lambda ranking: choice.choose(ranking, k), **wanted)

    def ranked(self, query: FloatRows) -> list[str]:
        """All ids, best first."""
        ids = list(self.oracle.points)
        if not ids:
            return []
        scores = self.oracle.scores(query, ids)
        return [ids[place] for place in np.argsort(-scores, kind="stable")]


@contextmanager
def world(metric: Metric, seed: int) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    made = World(folder, metric, seed)
    try:
        yield made
    finally:
        made.pools.close()
        made.engine.close()
        shutil.rmtree(folder)


def near(
    *rows: FloatRows, far: FloatRows | None = None, own: frozenset[str] = frozenset()
) -> Sought:
    found = np.concatenate([row.reshape(-1, DIM) for row in rows])
    return Sought(found, found[:0] if far is None else far.reshape(-1, DIM), own)


@PROPERTY
@given(
    metric=METRICS,
    seed=st.integers(0, 9999),
    points=st.integers(0, 300),
    field=st.sampled_from(sorted(FIELDS)),
    k=st.integers(1, 12),
    size=st.integers(1, 5),
    offset=st.integers(0, 3),
    skew=st.sampled_from([1.0, 4.0]),
)
def test_groups(
    metric: Metric,
    seed: int,
    points: int,
    field: str,
    k: int,
    size: int,
    offset: int,
    skew: float,
) -> None:
    """Also where one group is nearly everything, and where points have no group."""
    with world(metric, seed) as made:
        share = made.random.random(points) ** skew
        values: dict[str, list[Any]] = {
            "color": [f"c{int(20 * s)}" for s in share],
            "year": [int(30 * s) for s in share],
            "on": [bool(s > 0.1) for s in share],
        }
        payloads = [
            {name: values[name][i] for name in FIELDS if made.random.random() > 0.15}
            for i in range(points)
        ]
        made.write([f"p{i}" for i in range(points)], payloads, made.rows(points))
        query = made.rows(1)
        choice = Grouped(field, size, offset)
        choice.check(made.collection.spec, k)
        hits = made.choose(query, choice, k)
        groups: dict[Any, list[str]] = {}
        for point_id in made.ranked(query[0]):
            payload = made.oracle.points[point_id][1]
            if field in payload:
                groups.setdefault(payload[field], []).append(point_id)
        wanted = list(groups.items())[offset : offset + k]
        assert list(hits.points.ids) == [one for _, ids in wanted for one in ids[:size]]
        assert list(hits.values or ()) == [v for v, ids in wanted for _ in ids[:size]]
        assert hits.counts.tolist() == [len(hits.points.ids)]
        check_scores(made, hits, query)


def check_scores(made: World, hits: Hits, query: FloatRows) -> None:
    expected = made.oracle.scores(query[0], hits.points.ids) if len(hits.points) else hits.scores
    np.testing.assert_allclose(hits.scores, expected, rtol=1e-4, atol=1e-5)


@PROPERTY
@given(
    metric=METRICS,
    seed=st.integers(0, 9999),
    points=st.integers(0, 200),
    k=st.integers(1, 15),
    positives=st.integers(1, 4),
    negatives=st.integers(0, 4),
)
def test_best_scores(
    metric: Metric, seed: int, points: int, k: int, positives: int, negatives: int
) -> None:
    """Best with any positive; gone where a negative is nearer, however many those are."""
    with world(metric, seed) as made:
        ids = [f"p{i}" for i in range(points)]
        made.write(ids, [{}] * points, made.rows(points))
        first, far = made.rows(positives), made.rows(negatives)
        own = frozenset(ids[:2])
        hits = made.ask(near(first, far=far, own=own), lambda ranking: ranking.first(k))
        left = [one for one in made.oracle.points if one not in own]
        expected: list[float] = []
        if left:
            gains = np.max([made.oracle.scores(row, left) for row in first], axis=0)
            losses = np.full(len(left), -np.inf)
            for row in far:
                losses = np.maximum(losses, made.oracle.scores(row, left))
            expected = sorted(gains[gains >= losses].tolist(), reverse=True)[:k]
        np.testing.assert_allclose(hits.scores, expected, rtol=1e-4, atol=1e-5)
        assert len(set(hits.points.ids)) == len(expected)
        assert not own & set(hits.points.ids)
        for point_id, score in zip(hits.points.ids, hits.scores.tolist(), strict=True):
            best = max(float(made.oracle.scores(row, [point_id])[0]) for row in first)
            assert score == pytest.approx(best, rel=1e-4, abs=1e-5)


@PROPERTY
@given(
    metric=METRICS,
    seed=st.integers(0, 9999),
    count=st.integers(1, 40),
    relevance=st.floats(0, 1),
    k=st.integers(1, 10),
    offset=st.sampled_from([0.0, 1e3]),
)
def test_marginal_relevance_against_its_definition(
    metric: Metric, seed: int, count: int, relevance: float, k: int, offset: float
) -> None:
    random = np.random.default_rng(seed)
    far = np.float32(offset if metric is Metric.L2 else 0)
    rows = random.standard_normal((count, DIM), dtype=np.float32) + far
    query = random.standard_normal(DIM, dtype=np.float32) + far

    def like(a: FloatRows, b: FloatRows) -> float:
        if metric is Metric.L2:
            return -float(((a - b) ** 2).sum())
        product = float(a @ b)
        return (
            product
            if metric is Metric.DOT
            else product / float(np.linalg.norm(a) * np.linalg.norm(b))
        )

    scores = np.array([like(query, row) for row in rows], np.float32)
    order = marginal_relevance(scores, rows, metric, relevance, k)
    assert len(set(order)) == len(order) == min(k, count)
    assert order[0] == int(np.argmax(scores))
    for step in range(1, len(order)):
        gains = {
            place: relevance * scores[place]
            - (1 - relevance) * max(like(rows[place], rows[before]) for before in order[:step])
            for place in range(count)
            if place not in order[:step]
        }
        assert gains[order[step]] == pytest.approx(max(gains.values()), abs=1e-3)


def test_a_deadline_ends_the_choice() -> None:
    rows = np.random.default_rng(0).standard_normal((10_000, 384), dtype=np.float32)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        marginal_relevance(rows[:, 0], rows, Metric.COSINE, 0.5, 10_000, started + 0.2)
    # a coarse bound: unbounded, it takes several seconds
    assert time.monotonic() - started < 2


def test_diverse_points_are_of_the_best_candidates() -> None:
    with world(Metric.COSINE, 5) as made:
        ids = [f"p{i}" for i in range(100)]
        made.write(ids, [{}] * 100, made.rows(100))
        query = made.rows(1)
        ranked = made.ranked(query[0])
        for choice, pool in ((Diverse(0.3), 20), (Diverse(0.3, candidates=8), 8)):
            hits = made.choose(query, choice, 5)
            assert hits.points.vectors is None
            assert hits.points.ids[0] == ranked[0]
            assert set(hits.points.ids) <= set(ranked[:pool])
            check_scores(made, hits, query)
        alone = made.choose(query, Diverse(1.0), 5)
        assert list(alone.points.ids) == ranked[:5]
        later = made.ask(near(query), lambda ranking: Diverse(1.0, offset=2).choose(ranking, 3))
        assert list(later.points.ids) == ranked[2:5]
        kept = made.choose(query, Diverse(0.5), 2, with_vectors=True)
        assert kept.points.vectors is not None


@PROPERTY
@given(
    metric=METRICS,
    seed=st.integers(0, 9999),
    points=st.integers(0, 120),
    k=st.integers(1, 30),
    offset=st.integers(0, 20),
    copies=st.booleans(),
    writing=st.booleans(),
)
def test_pages_are_right_while_points_come_and_go(
    metric: Metric, seed: int, points: int, k: int, offset: int, copies: bool, writing: bool
) -> None:
    """No point twice, and every one that stays is there: also among equal points."""
    with world(metric, seed) as made:
        rows = made.rows(points)
        if copies and points:
            rows = rows[made.random.integers(0, max(1, points // 10), points)]
        ids = [f"p{i}" for i in range(points)]
        made.write(ids, [{}] * points, rows)
        query = made.rows(1)
        stay = set(made.ranked(query[0])[offset:])
        # who is before the offset is told by score: of equal points any may be
        if offset and copies:
            offset = 0
            stay = set(ids)
        seen: list[str] = []
        mark: Mark | None = None
        for number in range(200):
            choice: Choice = Windowed(offset) if mark is None else Paged(mark)
            hits = made.choose(query, choice, k)
            seen += hits.points.ids
            mark = next_mark(hits, k, offset, mark)
            if mark is None:
                break
            mark = read_token(write_token(mark, b"12345678"), b"12345678")
            if writing and number < 20:
                made.write([f"new{number}.{i}" for i in range(5)], [{}] * 5, made.rows(5))
                gone = [str(one) for one in made.random.choice(ids, 2)]
                made.delete(gone)
                stay -= set(gone)
        assert mark is None
        assert len(set(seen)) == len(seen)
        assert stay <= set(seen)
        if not writing:
            assert set(seen) == stay


@given(token=st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.hex()))
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(RequestError, match=r"no next_page_token|another search") as caught:
        read_token(token, digest_of(b"a search"))
    assert caught.value.field == "page_token"


def test_pages_end_where_searches_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ranking", "choosing.pages"):
        monkeypatch.setattr(f"services.runtime.{module}.MAX_K", 30)
    with world(Metric.COSINE, 1) as made:
        made.write([f"p{i}" for i in range(50)], [{}] * 50, made.rows(50))
        query = made.rows(1)
        seen: list[str] = []
        mark: Mark | None = None
        for _ in range(3):
            choice: Choice = Windowed() if mark is None else Paged(mark)
            hits = made.choose(query, choice, 12)
            seen += hits.points.ids
            mark = next_mark(hits, len(hits.points), 0, mark)
        assert seen == made.ranked(query[0])[:30]
        assert mark is not None
        with pytest.raises(RequestError, match="30 points deep; narrow it"):
            made.choose(query, Paged(mark), 12)


@pytest.mark.parametrize(
    ("choice", "k", "part"),
    [
        (Grouped("none"), 1, "none.*not declared.*color, year, on"),
        (Grouped("price"), 1, "price.*float"),
        (Grouped("color", 1000), 11, "11000"),
        (Diverse(1.5), 1, "lambda is 0 to 1"),
        (Diverse(float("nan")), 1, "lambda is 0 to 1"),
        (Diverse(0.5, 10_001), 1, "10000 candidates"),
        (Windowed(9_999), 2, "offset"),
        (Paged(Mark(0, 0, frozenset())), 0, "k must be"),
    ],
)
def test_what_does_not_fit_is_refused(choice: Any, k: int, part: str) -> None:
    spec = CollectionSpec(DIM, fields={**FIELDS, "price": FieldType.FLOAT})
    with pytest.raises(RequestError, match=part):
        choice.check(spec, k)
