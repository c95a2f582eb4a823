"""The engine: names, collections, the lock, and folders that cannot be used."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.base import SearchRequest
from index.engine import FaissEngine
from index.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    LockedError,
    SpecError,
    StorageError,
)
from index.types import CollectionSpec, CollectionState, FieldType, Metric, Points

SPEC = CollectionSpec(4, fields={"tag": FieldType.KEYWORD})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    engine = FaissEngine(tmp_path / "data", threads=1)
    yield engine
    engine.close()


def test_creates_lists_and_drops(engine: FaissEngine, tmp_path: Path) -> None:
    engine.create("b", SPEC)
    engine.create("a", SPEC)
    assert engine.names() == ["a", "b"]
    with pytest.raises(CollectionExistsError):
        engine.create("a", SPEC)
    engine.drop("a")
    assert engine.names() == ["b"]
    assert os.listdir(tmp_path / "data" / "collections") == ["b"]
    for call in (engine.get, engine.drop):
        with pytest.raises(CollectionNotFoundError):
            call("a")
    engine.create("a", SPEC)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "ä", "x" * 129, "a\n"])
def test_refuses_names(engine: FaissEngine, name: str) -> None:
    with pytest.raises(SpecError):
        engine.create(name, SPEC)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (CollectionSpec(0), "dim"),
        (CollectionSpec(1 << 20), "dim"),
        (CollectionSpec(4, recipe="best"), "recipe"),
        (CollectionSpec(4, fields={"": FieldType.INT}), "fields."),
    ],
)
def test_refuses_specs(engine: FaissEngine, spec: CollectionSpec, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        engine.create("a", spec)
    assert caught.value.field == field
    assert engine.names() == []


def test_info_tells_what_is_there(engine: FaissEngine) -> None:
    collection = engine.create("a", SPEC)
    collection.upsert(Points(["x", "y"], np.eye(2, 4, dtype=np.float32)))
    collection.delete(["x"])
    info = collection.info
    assert (info.name, info.spec, info.points, info.version) == ("a", SPEC, 1, 2)
    assert (info.state, info.state_reason) == (CollectionState.READY, "")
    assert [(part.rows, part.tombstones) for part in info.segments] == [(2, 1)]
    assert info.disk_bytes > 8192
    assert info.memory_bytes > 0
    assert info.created_ns > 1_600_000_000 * 10**9


def test_survives_closing(tmp_path: Path) -> None:
    spec = CollectionSpec(3, Metric.L2, "hnsw", "m", "space", {"y": FieldType.INT})
    engine = FaissEngine(tmp_path, threads=1)
    engine.create("a", spec).upsert(Points(["x"], np.ones((1, 3), np.float32), [b'{"y": 3}']))
    engine.close()
    again = FaissEngine(tmp_path, threads=1)
    collection = again.get("a")
    assert (collection.info.spec, collection.info.version) == (spec, 1)
    points, missing = collection.get(["nope", "x"], with_vectors=True)
    assert (points.ids, points.payloads, missing) == (["x"], [b'{"y": 3}'], [0])
    again.close()


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    engine = FaissEngine(tmp_path, threads=1)
    code = (
        "import sys; from pathlib import Path; from index.engine import FaissEngine\n"
        "from index.errors import LockedError\n"
        "try: FaissEngine(Path(sys.argv[1]))\n"
        "except LockedError as error: print(error.pid, error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split()[0] == str(os.getpid())
    with pytest.raises(LockedError):
        FaissEngine(tmp_path)
    engine.close()
    FaissEngine(tmp_path, threads=1).close()


def test_unfinished_folders_go(tmp_path: Path) -> None:
    (tmp_path / "collections" / ".half").mkdir(parents=True)
    engine = FaissEngine(tmp_path, threads=1)
    assert engine.names() == []
    assert os.listdir(tmp_path / "collections") == []
    engine.close()


def test_one_damaged_store_leaves_the_others(tmp_path: Path) -> None:
    engine = FaissEngine(tmp_path, threads=1)
    for name in ("bad", "good"):
        engine.create(name, SPEC).upsert(Points(["x"], np.ones((1, 4), np.float32)))
    engine.close()
    (tmp_path / "collections" / "bad" / "store.db").write_bytes(b"not a database" * 1000)
    engine = FaissEngine(tmp_path, threads=1)
    assert engine.get("good").count() == 1
    with pytest.raises(StorageError):
        engine.get("bad")
    with pytest.raises(CollectionExistsError):
        engine.create("bad", SPEC)
    engine.drop("bad")
    engine.create("bad", SPEC)
    engine.close()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        FaissEngine(tmp_path / "file")


def test_an_empty_collection_answers(engine: FaissEngine) -> None:
    collection = engine.create("a", SPEC)
    request = SearchRequest(np.ones((2, 4), np.float32), 5, with_payload=True, with_vectors=True)
    hits = collection.search(request)
    assert (list(hits.points.ids), hits.counts.tolist()) == ([], [0, 0])
    assert hits.points.vectors is not None
    assert hits.points.vectors.shape == (0, 4)
    assert collection.scan().cursor == ""
    assert list(collection.blocks()) == []
    assert collection.ids_of(np.array([5])) == [""]
    collection.optimize(full=True)
