"""Damaged and missing segment files: found when a collection is opened, mended from the store."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.base import Collection, SearchRequest
from index.engine import FaissEngine
from index.filter import Condition, Op
from index.options import EngineOptions
from index.recipes import recipe
from index.recipes.hnsw import Hnsw
from index.types import (
    CollectionSpec,
    CollectionState,
    FieldType,
    Points,
    SearchParameters,
    SegmentState,
)
from tests.index.spoiling import spoil

DIM, COUNT = 16, 5000
OPTIONS = EngineOptions(threads=1, seal_rows=3000)
ROWS = np.random.default_rng(1).standard_normal((COUNT, DIM), dtype=np.float32)
YEAR = Condition("year", Op.EQ, 3)
Folder = Path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A closed collection of one indexed segment, with deletions and changes since."""
    engine = FaissEngine(tmp_path, options=OPTIONS)
    collection = engine.create(
        "c", CollectionSpec(DIM, recipe="hnsw", fields={"year": FieldType.INT})
    )
    payloads = [b'{"year": %d}' % (i % 10) for i in range(COUNT)]
    collection.upsert(Points([f"p{i}" for i in range(COUNT)], ROWS, payloads))
    collection.optimize(full=True)
    collection.delete(["p0", "p1"])
    collection.update_payload(["p2"], b'{"year": 3}')
    engine.close()
    return tmp_path / "collections" / "c"


def check(collection: Collection, recall: float = 0.9) -> None:
    assert collection.count() == COUNT - 2
    assert collection.count(YEAR) == COUNT // 10 + 1
    scaled = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    scores = scaled[2:20] @ scaled[2:].T
    best = -np.sort(-scores, axis=1)[:, 9:10]
    for params, least in ((SearchParameters(exact=True), 1.0), (SearchParameters(ef=300), recall)):
        hits = collection.search(SearchRequest(ROWS[2:20], 10, None, params))
        assert not {"p0", "p1"} & set(hits.points.ids)
        assert np.mean(hits.scores.reshape(18, 10) >= best - 1e-5) >= least


@pytest.fixture
def slow_builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Graph builds wait while the list holds an item."""
    gate = [1.0]
    build = Hnsw.build

    def waiting(self: Hnsw, rows, metric, params, context):  # type: ignore[no-untyped-def]
        while gate:
            context.check(0, len(rows))
            time.sleep(0.01)
        return build(self, rows, metric, params, context)

    monkeypatch.setattr(Hnsw, "build", waiting)
    yield gate
    gate.clear()


@pytest.mark.parametrize("how", ["flip", "cut", "lose"])
@pytest.mark.parametrize("role", ["index", "rows", "keys"])
def test_damage_degrades_until_it_is_mended(
    folder: Folder, role: str, how: str, slow_builds: list[float]
) -> None:
    (path,) = (folder / "segments").glob(f"*.{role}")
    spoil(path, 987_654_321, how)
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    collection = engine.get("c")
    info = collection.info
    assert info.state is CollectionState.DEGRADED
    assert role in info.state_reason
    assert [part.state for part in info.segments] == [SegmentState.BUILDING]
    check(collection, recall=1.0)
    slow_builds.clear()
    collection.optimize()
    info = collection.info
    assert (info.state, info.state_reason) == (CollectionState.READY, "")
    assert [(part.state, part.recipe) for part in info.segments] == [(SegmentState.SEALED, "hnsw")]
    check(collection)
    engine.close()
    check_reopened(folder)


@pytest.mark.parametrize("how", ["flip", "cut", "lose"])
def test_damaged_columns_are_read_again(folder: Folder, how: str) -> None:
    (path,) = (folder / "segments").glob("*.columns")
    spoil(path, 987_654_321, how)
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    check(engine.get("c"))
    assert engine.get("c").info.state is CollectionState.READY
    engine.close()
    check_reopened(folder)


@pytest.mark.parametrize("how", ["flip", "cut", "lose"])
def test_a_damaged_manifest_costs_time_only(folder: Folder, how: str) -> None:
    spoil(folder / "manifest.json", 12_345, how)
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    collection = engine.get("c")
    check(collection)
    collection.optimize(full=True)
    assert collection.info.state is CollectionState.READY
    check(collection)
    engine.close()
    check_reopened(folder)


def test_an_old_manifest_is_noticed(folder: Folder) -> None:
    """Files of another moment than the store's: the counts tell."""
    manifest = (folder / "manifest.json").read_bytes()
    files = {path: path.read_bytes() for path in (folder / "segments").iterdir()}
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    engine.get("c").delete([f"p{i}" for i in range(2, 4000)])
    engine.get("c").optimize(full=True)
    engine.close()
    (folder / "manifest.json").write_bytes(manifest)
    for path, data in files.items():
        path.write_bytes(data)
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    collection = engine.get("c")
    assert collection.count() == COUNT - 4000
    hits = collection.search(SearchRequest(ROWS[2:4], 100))
    assert min(int(point_id[1:]) for point_id in hits.points.ids) >= 4000
    engine.close()


def test_strays_are_removed(folder: Folder) -> None:
    stray = folder / "segments" / "00000099.rows"
    stray.write_bytes(b"left by a crash")
    check_reopened(folder)
    assert not stray.exists()


def test_opening_builds_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError("an intact index was built again")

    monkeypatch.setattr(type(recipe("hnsw")), "build", unwanted)
    check_reopened(folder)


def check_reopened(folder: Folder) -> None:
    """Opened once more, everything is intact."""
    engine = FaissEngine(folder.parents[1], options=OPTIONS)
    info = engine.get("c").info
    assert info.state is CollectionState.READY
    assert all(part.state is SegmentState.SEALED for part in info.segments)
    assert "hnsw" in [part.recipe for part in info.segments]
    check(engine.get("c"))
    engine.close()
