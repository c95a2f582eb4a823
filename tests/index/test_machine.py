"""Random lives of a collection against dicts and numpy."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from index.base import SearchRequest
from index.engine import FaissEngine
from index.filter import Condition, Op
from index.options import EngineOptions
from index.recipes import recipe as find_recipe
from index.types import CollectionSpec, FieldType, Metric, Points, SearchParameters
from tests.index.oracle import Oracle
from tests.index.spoiling import spoil

DIM = 8
IDS = 9000
OPTIONS = EngineOptions(threads=1, seal_rows=2100, merge_factor=2, dead_share=0.2)
EFFORT = SearchParameters(ef=600, nprobe=1000, rerank=600)
YEAR = Condition("year", Op.GTE, 5)
# the recall that so much effort must give; nprobe covers every list
CASES = [
    ("exact", Metric.COSINE, 1.0),
    ("hnsw", Metric.COSINE, 0.9),
    ("hnsw", Metric.L2, 0.9),
    ("ivf", Metric.DOT, 1.0),
    ("ivf_pq", Metric.COSINE, 0.9),
    ("rabitq", Metric.L2, 0.9),
]


class CollectionMachine(RuleBasedStateMachine):
    """One collection; writes are large enough for segments to fill, merge and get indexes."""

    recipe = "exact"
    metric = Metric.COSINE
    recall = 1.0

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.folder = Path(tempfile.mkdtemp())
        self.oracle = Oracle(self.metric)
        self.engine = FaissEngine(self.folder, options=OPTIONS)
        spec = CollectionSpec(DIM, self.metric, self.recipe, fields={"year": FieldType.INT})
        self.collection = self.engine.create("c", spec)
        self.upsert(5000, 0)

    @rule(count=st.sampled_from([2500, 1500, 400, 3]), first=st.integers(0, IDS - 1))
    def write(self, count: int, first: int) -> None:
        self.upsert(count, first)

    def upsert(self, count: int, first: int) -> None:
        ids = [f"p{(first + i) % IDS}" for i in range(count)]
        rows = self.random.standard_normal((count, DIM), dtype=np.float32)
        payloads: list[dict[str, Any]] = [
            {"year": int(y)} for y in self.random.integers(0, 10, count)
        ]
        encoded = [orjson.dumps(payload) for payload in payloads]
        written = self.collection.upsert(Points(ids, rows, encoded, ["text"] * count))
        assert (written.written, dict(written.rejected)) == (count, {})
        self.oracle.upsert(ids, rows, payloads, "text")

    @rule(count=st.sampled_from([600, 50, 1]), first=st.integers(0, IDS - 1))
    def delete(self, count: int, first: int) -> None:
        ids = [f"p{(first + i) % IDS}" for i in range(count)]
        assert self.collection.delete(ids).written == self.oracle.delete(ids)

    @rule(year=st.integers(0, 9))
    def delete_year(self, year: int) -> None:
        ids = self.oracle.passing(lambda payload: payload["year"] == year)
        written = self.collection.delete(Condition("year", Op.EQ, year)).written
        assert written == self.oracle.delete(ids) == len(ids)

    @rule(count=st.integers(1, 50), first=st.integers(0, IDS - 1), year=st.integers(0, 9))
    def patch(self, count: int, first: int, year: int) -> None:
        ids = [f"p{(first + i) % IDS}" for i in range(count)]
        change = {"year": year, "patched": True}
        result = self.collection.update_payload(ids, orjson.dumps(change))
        assert result.written == self.oracle.patch(ids, change)
        assert len(result.rejected) == count - result.written

    @rule(full=st.booleans())
    def optimize(self, full: bool) -> None:
        self.collection.optimize(full=full)
        info = self.collection.info
        assert sum(segment.tombstones for segment in info.segments) == 0
        assert not full or len(info.segments) <= 1

    @rule()
    def restart(self) -> None:
        self.engine.close()
        self.engine = FaissEngine(self.folder, options=OPTIONS)
        self.collection = self.engine.get("c")

    @rule(pick=st.integers(0, 1 << 30), how=st.sampled_from(["flip", "cut", "lose"]))
    def damage(self, pick: int, how: str) -> None:
        """Opens it again with one derived file damaged."""
        self.engine.close()
        files = sorted(self.folder.glob("collections/c/segments/*"))
        files += sorted(self.folder.glob("collections/c/manifest.json"))
        if files:
            spoil(files[pick % len(files)], pick, how)
        self.engine = FaissEngine(self.folder, options=OPTIONS)
        self.collection = self.engine.get("c")

    @rule()
    def move(self) -> None:
        """Goes on with a restored snapshot."""
        archive = self.folder / "c.tar"
        self.engine.snapshot("c", archive)
        self.engine.drop("c")
        self.engine.restore(archive, "d")
        self.engine.snapshot("d", archive)
        self.engine.drop("d")
        self.collection = self.engine.restore(archive, "c")

    @invariant()
    def agrees(self) -> None:
        collection, oracle = self.collection, self.oracle
        assert collection.count() == len(oracle.points)
        assert collection.count(YEAR) == len(oracle.passing(lambda payload: payload["year"] >= 5))
        queries = self.random.standard_normal((3, DIM), dtype=np.float32)
        for condition, least in ((None, 0), (YEAR, 5)):
            allowed = oracle.since(least)
            for params, recall in ((SearchParameters(exact=True), 1.0), (EFFORT, self.recall)):
                request = SearchRequest(queries, 10, condition, params, with_payload=True)
                oracle.check_hits(collection.search(request), queries, 10, allowed, recall)

    @invariant()
    def scans(self) -> None:
        page = self.collection.scan(limit=997, with_vectors=True)
        ids = list(page.points.ids)
        while page.cursor:
            page = self.collection.scan(page.cursor, 997)
            ids += page.points.ids
        assert ids == list(self.oracle.points)
        rows = [row for block in self.collection.blocks() for row in block[1]]
        if ids:
            expected = np.array([point[0] for point in self.oracle.points.values()])
            np.testing.assert_allclose(np.array(rows), expected, atol=1e-6)
        slots = [slot for block in self.collection.blocks() for slot in block[0].tolist()]
        assert self.collection.ids_of(np.array(slots, dtype=np.intp)) == ids

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.close()
            shutil.rmtree(self.folder)


@pytest.mark.parametrize(("recipe", "metric", "recall"), CASES)
def test_random_lives_equal_the_oracle(
    recipe: str, metric: Metric, recall: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so that quantised recipes are used on as few rows
    monkeypatch.setattr(find_recipe(recipe), "min_rows", 2000)
    members = {"recipe": recipe, "metric": metric, "recall": recall}
    machine = type("Machine", (CollectionMachine,), members)
    run_machine(
        machine,
        settings=settings(
            max_examples=2,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
