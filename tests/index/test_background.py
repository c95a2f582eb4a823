"""Background work: sealing, merging, changing recipes; and that nobody notices but by `info`."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from index.base import SearchRequest
from index.engine import FaissEngine
from index.errors import CollectionNotFoundError, SpecError
from index.options import EngineOptions
from index.recipes.hnsw import Hnsw
from index.segments.merging import merge_window
from index.types import (
    CollectionSpec,
    IndexParameters,
    Metric,
    Points,
    SearchParameters,
    SegmentState,
)

DIM = 16
ROWS = np.random.default_rng(1).standard_normal((9000, DIM), dtype=np.float32)
IDS = [f"p{i}" for i in range(len(ROWS))]
EXACT = SearchParameters(exact=True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    options = EngineOptions(threads=1, seal_rows=2500, merge_factor=3)
    engine = FaissEngine(tmp_path, options=options)
    yield engine
    engine.close()


def until(test: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not test():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def test_segments_are_sealed_and_merged_by_themselves(engine: FaissEngine) -> None:
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    for first in range(0, 9000, 500):
        collection.upsert(Points(IDS[first : first + 500], ROWS[first : first + 500]))

    def merged() -> bool:
        parts = collection.info.segments
        sealed = [(part.rows, part.recipe) for part in parts if part.state is SegmentState.SEALED]
        return sealed == [(7500, "hnsw")] and len(parts) == 2

    until(merged)
    assert collection.count() == 9000


@pytest.mark.parametrize(
    ("sizes", "window"),
    [
        ([], []),
        ([100], []),
        ([100, 100], []),
        ([100, 100, 100], [100, 100, 100]),
        ([100] * 9, [100] * 6),
        ([900, 100, 100], []),
        ([900, 100, 100, 90], [100, 100, 90]),
        ([1, 1, 1, 900], [1, 1, 1]),
        ([900, 900, 900], []),
    ],
)
def test_merge_window(sizes: list[int], window: list[int]) -> None:
    class Sized:
        def __init__(self, live: int) -> None:
            self.live = live

    found = merge_window([Sized(size) for size in sizes], 3, 2500)  # type: ignore[misc]
    expected = window if window != [100, 100, 90] else []
    assert [part.live for part in found or []] == expected


def test_a_point_is_written_few_times_on_its_way() -> None:
    """Segments of one size pushed one by one: how often is a row written again?"""

    class Sized:
        def __init__(self, live: int) -> None:
            self.live = live

    parts: list[Sized] = []
    written = 0
    for _ in range(64):
        parts.append(Sized(1000))
        while (window := merge_window(parts, 8, 1 << 40)) is not None:  # type: ignore[arg-type]
            merged = Sized(sum(part.live for part in window))
            first = parts.index(window[0])  # type: ignore[arg-type]
            parts[first : first + len(window)] = [merged]
            written += merged.live
    assert written <= 2 * 64_000
    assert len(parts) <= 16


def test_searches_and_writes_go_on_while_an_index_is_built(
    engine: FaissEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    building, go_on = threading.Event(), threading.Event()
    build = Hnsw.build

    def waiting(self: Hnsw, rows, metric, params, context):  # type: ignore[no-untyped-def]
        building.set()
        while not go_on.wait(0.01):
            context.check(0, len(rows))
        return build(self, rows, metric, params, context)

    monkeypatch.setattr(Hnsw, "build", waiting)
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    collection.upsert(Points(IDS[:3000], ROWS[:3000]))
    assert building.wait(30)
    collection.upsert(Points(IDS[3000:6000], ROWS[3000:6000]))
    collection.delete(["p0", "p3000"])
    collection.update_payload(["p1"], b'{"x": 1}')
    until(lambda: len(collection.info.segments) == 2)
    states = {part.state for part in collection.info.segments}
    assert states == {SegmentState.BUILDING}
    hits = collection.search(SearchRequest(ROWS[:2], 1))
    assert hits.points.ids[1] == "p1"
    assert hits.points.ids[0] != "p0"
    go_on.set()
    collection.optimize()
    assert collection.count() == 5998
    hits = collection.search(SearchRequest(ROWS[:2], 1, with_payload=True))
    assert hits.points.ids[1] == "p1"
    assert hits.points.ids[0] != "p0"


def test_closing_ends_a_build(engine: FaissEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    building = threading.Event()

    def endless(self: Hnsw, rows, metric, params, context):  # type: ignore[no-untyped-def]
        building.set()
        while True:
            context.check(0, len(rows))
            time.sleep(0.01)

    monkeypatch.setattr(Hnsw, "build", endless)
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    collection.upsert(Points(IDS[:3000], ROWS[:3000]))
    assert building.wait(30)
    waiter_errors: list[BaseException] = []

    def wait() -> None:
        try:
            collection.optimize()
        except CollectionNotFoundError as error:
            waiter_errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.05)
    engine.drop("c")
    waiter.join(30)
    assert len(waiter_errors) == 1
    with pytest.raises(CollectionNotFoundError):
        collection.upsert(Points(["x"], ROWS[:1]))


def test_optimizing_reports_and_can_be_cancelled(engine: FaissEngine) -> None:
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    for first in range(0, 9000, 3000):
        collection.upsert(Points(IDS[first : first + 3000], ROWS[first : first + 3000]))

    def stop(stage: str, done: int, total: int) -> None:
        raise InterruptedError(stage)

    with contextlib.suppress(InterruptedError):
        collection.optimize(full=True, progress=stop)
    collection.optimize(full=True)
    assert [part.rows for part in collection.info.segments] == [9000]


def test_changing_the_recipe(engine: FaissEngine) -> None:
    collection = engine.create("c", CollectionSpec(DIM, Metric.L2, "hnsw"))
    collection.upsert(Points(IDS, ROWS))
    collection.optimize()
    collection.update(recipe="ivf", search=SearchParameters(nprobe=1000))
    collection.optimize()
    info = collection.info
    assert (info.spec.recipe, info.recipe, info.state_reason) == ("ivf", "ivf", "")
    assert [part.recipe for part in info.segments] == ["ivf"]
    hits = collection.search(SearchRequest(ROWS[:50], 10))
    exact = collection.search(SearchRequest(ROWS[:50], 10, params=EXACT))
    assert hits.points.ids == exact.points.ids
    collection.update(recipe="exact")
    collection.optimize()
    assert [part.recipe for part in collection.info.segments] == ["exact"]
    with pytest.raises(SpecError):
        collection.update(recipe="best")


def test_a_recipe_that_fails_the_recall_check_is_not_taken(
    engine: FaissEngine, tmp_path: Path
) -> None:
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    collection.upsert(Points(IDS, ROWS))
    collection.optimize()
    before = collection.search(SearchRequest(ROWS[:5], 10)).points.ids
    collection.update(
        recipe="ivf", index=IndexParameters(nlist=256), search=SearchParameters(nprobe=1)
    )
    collection.optimize()
    info = collection.info
    assert (info.spec.recipe, info.recipe) == ("hnsw", "hnsw")
    assert "recall" in info.state_reason
    assert [part.recipe for part in info.segments] == ["hnsw"]
    assert collection.search(SearchRequest(ROWS[:5], 10)).points.ids == before
    names = {path.suffix for path in (tmp_path / "collections/c/segments").iterdir()}
    assert names == {".rows", ".keys", ".columns", ".index"}
    assert len(list((tmp_path / "collections/c/segments").iterdir())) == 4


def test_a_change_of_recipe_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(threads=1, seal_rows=2500)
    engine = FaissEngine(tmp_path, options=options)
    collection = engine.create("c", CollectionSpec(DIM, recipe="exact"))
    collection.upsert(Points(IDS, ROWS))
    collection.optimize()

    def endless(self: Hnsw, rows, metric, params, context):  # type: ignore[no-untyped-def]
        while True:
            context.check(0, len(rows))
            time.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(Hnsw, "build", endless)
        collection.update(recipe="hnsw")
        time.sleep(0.05)
        assert collection.info.spec.recipe == "exact"
        engine.close()
    engine = FaissEngine(tmp_path, options=options)
    engine.get("c").optimize()
    assert engine.get("c").info.spec.recipe == "hnsw"
    assert [part.recipe for part in engine.get("c").info.segments] == ["hnsw"]
    engine.close()


def test_readers_writers_and_background_work_together(engine: FaissEngine) -> None:
    """Ids are replaced again and again: every search finds each of them exactly once."""
    collection = engine.create("c", CollectionSpec(DIM, Metric.DOT, "hnsw"))
    constant = np.eye(1, DIM, dtype=np.float32)
    wanted = sorted(f"s{i}" for i in range(40))
    collection.upsert(Points(wanted, np.repeat(10 * constant, 40, axis=0)))
    stop, failures = threading.Event(), []

    def churn(seed: int) -> None:
        random = np.random.default_rng(seed)
        while not stop.is_set():
            chosen = [wanted[i] for i in random.choice(40, 10, replace=False)]
            collection.upsert(Points(chosen, np.repeat(10 * constant, 10, axis=0)))
            first = int(random.integers(0, 8500))
            collection.upsert(Points(IDS[first : first + 400], 0.1 * ROWS[first : first + 400]))
            collection.delete(IDS[first : first + 100])

    def search() -> None:
        while not stop.is_set():
            request = SearchRequest(constant, 40, params=EXACT, with_payload=True)
            found = sorted(collection.search(request).points.ids)
            if found != wanted:
                failures.append(found)

    threads = [threading.Thread(target=churn, args=(seed,)) for seed in range(2)]
    threads += [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.3)
        collection.optimize(full=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
