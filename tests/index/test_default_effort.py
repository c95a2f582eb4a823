"""Searches without parameters find 0.95 of the ten nearest, of every named recipe, on many kinds of
data; the yardstick is a float64 brute force."""

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import embedders
from embedders.vectors import FloatRows
from index.base import SearchRequest
from index.collection import FaissCollection
from index.engine import FaissEngine
from index.filter import Condition, Op
from index.options import EngineOptions
from index.segments import calibration
from index.segments.calibration import calibrate
from index.types import (
    CollectionSpec,
    FieldType,
    Metric,
    Points,
    SearchParameters,
    SegmentState,
)
from index.upkeep.progress import Cancelled

ROWS, QUERIES, K = 20_000, 250, 10
WORDS = Path(embedders.__file__).parent / "minis/words-mini/model.safetensors"
FIELDS = {"chance": FieldType.FLOAT, "place": FieldType.FLOAT}
# "auto" is "hnsw" at this size, and "exact" comes last
RECIPES = ["auto", "hnsw", "hnsw_sq8", "ivf", "ivf_sq8", "ivf_pq", "rabitq", "exact"]
KINDS = ["words", "offset", "mixture", "random", "norms"]
KIND_METRICS = {"mixture": Metric.L2, "norms": Metric.DOT}


def make(kind: str) -> tuple[FloatRows, FloatRows]:
    """Rows and others of the same kind as queries."""
    rng = np.random.default_rng(7)
    count = ROWS + QUERIES
    if kind == "words":
        stored = load_file(WORDS)
        rows = stored["vectors"][rng.permutation(len(stored["vectors"]))[:count]]
    elif kind == "offset":
        # few directions, one of them in three of ten rows, all of them far to one side
        centers = rng.standard_normal((150, 64)) / 8
        near = centers[rng.zipf(1.4, count) % 150]
        rows = near + 0.04 * rng.standard_normal((count, 64)) + 0.5
    elif kind == "mixture":
        centers = 1.2 * rng.standard_normal((1000, 48))
        rows = centers[rng.integers(0, 1000, count)] + 0.7 * rng.standard_normal((count, 48))
    elif kind == "random":
        rows = rng.standard_normal((count, 40))
    else:
        rows = rng.standard_normal((count, 24)) * rng.lognormal(0, 0.3, (count, 1))
    made = rows.astype(np.float32)
    return made[:ROWS], made[ROWS:]


def brute_force(rows: FloatRows, queries: FloatRows, metric: Metric) -> NDArray[np.int64]:
    wide, asked = rows.astype(np.float64), queries.astype(np.float64)
    if metric is Metric.COSINE:
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    scores = asked @ wide.T
    if metric is Metric.L2:
        scores = 2 * scores - (wide * wide).sum(axis=1)
    return np.argpartition(-scores, K, axis=1)[:, :K]


class Filled:
    """A collection of one kind of data, and what is true of it."""

    def __init__(self, folder: Path, kind: str, recipe: str, options: EngineOptions) -> None:
        self.rows, self.queries = make(kind)
        self.metric = KIND_METRICS.get(kind, Metric.COSINE)
        self.columns = {"chance": np.random.default_rng(3).random(ROWS), "place": ranks(self.rows)}
        self.engine = FaissEngine(folder, options=options)
        spec = CollectionSpec(self.rows.shape[1], self.metric, recipe, fields=FIELDS)
        made = self.engine.create("c", spec)
        assert isinstance(made, FaissCollection)
        self.collection = made
        for start in range(0, ROWS, 5000):
            part = range(start, start + 5000)
            payloads = [
                orjson.dumps({name: float(column[i]) for name, column in self.columns.items()})
                for i in part
            ]
            made.upsert(Points([str(i) for i in part], self.rows[start : start + 5000], payloads))

    def recall(self, field: str = "", share: float = 1.0, alone: int = 0) -> float:
        """recall@10 of searches without parameters among the rows that pass.

        Args:
            alone: so many queries one by one, in place of all in one batch.
        """
        condition = Condition(field, Op.LT, share) if field else None
        batches = [self.queries[i : i + 1] for i in range(alone)] or [self.queries]
        found: list[int] = []
        for batch in batches:
            hits = self.collection.search(SearchRequest(batch, K, filter=condition))
            assert (hits.counts == K).all()
            found += map(int, hits.points.ids)
        rows = np.array(found).reshape(-1, K).tolist()
        truth = self.truth(field, share)[: len(rows)].tolist()
        return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(rows, truth, strict=True)]))

    @cache  # noqa: B019 - lives as long as the tests
    def truth(self, field: str, share: float) -> NDArray[np.int64]:
        """The true neighbours of every query, int64 (q, K), in no order."""
        passing = np.flatnonzero(self.columns[field] < share) if field else np.arange(ROWS)
        return passing[brute_force(self.rows[passing], self.queries, self.metric)]


def ranks(rows: FloatRows) -> NDArray[np.float64]:
    """Shares of the rows that lie nearer to the first row than each does."""
    far = np.linalg.norm(rows - rows[0], axis=1)
    return np.argsort(np.argsort(far)) / len(rows)


@pytest.fixture(scope="module", params=KINDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    options = EngineOptions(threads=1)
    made = Filled(tmp_path_factory.mktemp("effort"), request.param, "auto", options)
    yield made
    made.engine.close()


@pytest.mark.parametrize("recipe", RECIPES)
def test_default_searches_find_what_is_promised(filled: Filled, recipe: str) -> None:
    collection = filled.collection
    if recipe != collection.spec.recipe:
        collection.update(recipe=recipe)
    collection.optimize(full=True)
    assert collection.spec.recipe == recipe
    (segment,) = [part for part in collection.info.segments if part.rows]
    recall = filled.recall()
    assert recall >= 0.95
    if recipe == "exact":
        # rows are scaled in float32, so that near ties may turn
        assert recall > 0.999
        assert (segment.effort, collection.info.default_recall) == (None, 1.0)
        return
    assert segment.effort is not None
    assert segment.effort.samples == 256
    assert 0.95 < segment.effort.low < segment.effort.recall <= segment.effort.high <= 1
    assert collection.info.default_recall == pytest.approx(segment.effort.recall)
    # a default search uses at least as much as was measured
    assert recall >= segment.effort.recall - 0.03
    for field in FIELDS:
        for share in (0.9, 0.5, 0.1, 0.01):
            assert filled.recall(field, share) >= 0.95, (field, share)
        # one by one, filters are served by the index; half of the queries lie outside of a place
        for share in (0.7, 0.5):
            assert filled.recall(field, share, alone=100) >= 0.95, (field, share)


@pytest.mark.parametrize("kind", ["words", "random"])
@pytest.mark.parametrize("recipe", ["hnsw", "ivf"])
def test_several_segments_find_it_too(tmp_path: Path, kind: str, recipe: str) -> None:
    options = EngineOptions(threads=1, seal_rows=2500, max_segment_rows=2500)
    filled = Filled(tmp_path, kind, recipe, options)
    filled.collection.optimize()
    segments = filled.collection.info.segments
    assert len(segments) > 3
    assert {part.recipe for part in segments} == {recipe}
    assert filled.recall() >= 0.95
    assert filled.recall("place", 0.5) >= 0.95
    filled.engine.close()


def test_what_cannot_be_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_MOST_RERANK", 20)
    # one bit a number tells little of a row of 24 numbers
    monkeypatch.setattr("index.recipes.rabitq.RabitQ.rerank", 20)
    filled = Filled(tmp_path, "norms", "rabitq", EngineOptions(threads=1))
    filled.collection.optimize(full=True)
    told = filled.collection.info.default_recall
    assert told is not None
    assert told < 0.9
    assert filled.recall() == pytest.approx(told, abs=0.05)
    filled.engine.close()


def test_segments_of_before_are_measured_once_they_are_open(tmp_path: Path) -> None:
    options = EngineOptions(threads=1)
    filled = Filled(tmp_path, "random", "ivf", options)
    filled.collection.optimize(full=True)
    filled.engine.close()
    folder = tmp_path / "collections/c"
    make_older(folder)
    indexes = {path: path.stat().st_mtime_ns for path in folder.glob("segments/*.index")}
    engine = FaissEngine(tmp_path, options=options)
    reopened = engine.get("c")
    assert {part.state for part in reopened.info.segments if part.rows} == {SegmentState.SEALED}
    reopened.optimize()
    (segment,) = [part for part in reopened.info.segments if part.rows]
    assert segment.effort is not None
    assert segment.effort.low > 0.95
    assert {path: path.stat().st_mtime_ns for path in folder.glob("segments/*.index")} == indexes
    engine.close()
    # and it is kept
    kept = FaissEngine(tmp_path, options=options)
    assert [part.effort for part in kept.get("c").info.segments if part.rows] == [segment.effort]
    kept.snapshot("c", tmp_path / "c.tar")
    restored = kept.restore(tmp_path / "c.tar", "d")
    assert [part.effort for part in restored.info.segments if part.rows] == [segment.effort]
    kept.close()


def make_older(folder: Path) -> None:
    """The manifest as it was before efforts were measured."""
    head, body = (folder / "manifest.json").read_bytes().split(b"\n", 1)
    assert orjson.loads(head)["format"] == 2
    data = orjson.loads(body)
    for entry in data["segments"]:
        del entry["effort"]
    body = orjson.dumps(data)
    head = orjson.dumps({"format": 1, "crc32": zlib.crc32(body)})
    (folder / "manifest.json").write_bytes(head + b"\n" + body)


def test_an_effort_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    filled = Filled(tmp_path, "random", "ivf", EngineOptions(threads=1))
    collection = filled.collection
    collection.optimize(full=True)

    def probes(params: SearchParameters) -> int:
        hits = collection.search(SearchRequest(filled.queries[:1], K, params=params))
        return next(part.nprobe for part in hits.plan.segments if part.method == "lists")

    least = next(part.effort for part in collection.info.segments if part.effort)
    assert probes(SearchParameters()) == least.effort.nprobe > 20
    assert probes(SearchParameters(nprobe=7)) == 7
    collection.update(search=SearchParameters(nprobe=9))
    assert probes(SearchParameters()) == 9
    assert collection.info.default_recall is None
    collection.update(search=SearchParameters(exact=True))
    assert collection.info.default_recall == 1
    filled.engine.close()


def test_a_change_of_recipe_is_judged_by_the_effort_that_searches_will_use(tmp_path: Path) -> None:
    filled = Filled(tmp_path, "random", "hnsw", EngineOptions(threads=1))
    collection = filled.collection
    collection.optimize(full=True)
    collection.update(recipe="ivf", search=SearchParameters(nprobe=2))
    collection.optimize()
    assert collection.spec.recipe == "hnsw"
    assert "recall@10 0." in collection.info.state_reason
    collection.update(recipe="ivf", search=SearchParameters())
    collection.optimize()
    assert collection.spec.recipe == "ivf"
    assert filled.recall() >= 0.95
    filled.engine.close()


def test_a_stopped_measurement_leaves_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = Filled(tmp_path, "random", "ivf", EngineOptions(threads=1))

    def stopped(*arguments: object) -> None:
        raise Cancelled("build")

    monkeypatch.setattr("index.segments.indexing.calibrate", stopped)
    with pytest.raises(Exception, match="stopped"):
        filled.collection.optimize(full=True)
    assert not list(tmp_path.glob("collections/c/segments/*.index"))
    monkeypatch.setattr("index.segments.indexing.calibrate", calibrate)
    filled.collection.optimize(full=True)
    assert filled.recall() >= 0.95
    filled.engine.close()
