"""The store and its one writer: group commit, failures, space given back."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from index.base import Collection, SearchRequest
from index.engine import FaissEngine
from index.errors import StorageError
from index.options import EngineOptions
from index.store.writer import StoreWriter
from index.types import CollectionSpec, CollectionState, Points

DIM = 64
WRITERS, WRITES = 24, 6


def rows(count: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((count, DIM), dtype=np.float32)


def test_many_writers_share_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []
    commit = StoreWriter._commit

    def slow_commit(self: StoreWriter) -> None:
        time.sleep(0.005)
        commits.append(self.version)
        commit(self)

    engine = FaissEngine(tmp_path, threads=1)
    collection = engine.create("c", CollectionSpec(DIM))
    monkeypatch.setattr(StoreWriter, "_commit", slow_commit)
    versions: list[int] = []

    def write(writer: int) -> None:
        for number in range(WRITES):
            point_id = f"{writer}-{number}"
            result = collection.upsert(Points([point_id], rows(1, writer)))
            assert collection.get([point_id])[1] == []
            versions.append(result.version)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, WRITERS * WRITES + 1))
    assert collection.count() == WRITERS * WRITES
    assert len(commits) < WRITERS * WRITES / 3
    engine.close()


def test_one_commit_is_one_fsync(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    code = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from index.engine import FaissEngine; from index.types import CollectionSpec, Points\n"
        "c = FaissEngine(Path(sys.argv[1])).create('c', CollectionSpec(2))\n"
        "for i in range(50): c.upsert(Points([str(i)], np.ones((1, 2), np.float32)))\n"
        "os._exit(0)"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    subprocess.run([*command, sys.executable, "-c", code, str(tmp_path / "data")], check=True)
    syncs = sum("sync(" in line for line in trace.read_text().splitlines())
    assert 50 <= syncs <= 80


def test_a_failed_commit_answers_every_writer_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FaissEngine(tmp_path, threads=1)
    collection = engine.create("c", CollectionSpec(DIM))
    collection.upsert(Points(["old"], rows(1)))

    def broken(self: StoreWriter) -> None:
        raise OSError(28, "No space left on device")

    errors: list[StorageError] = []

    def write(number: int) -> None:
        with pytest.raises(StorageError) as caught:
            collection.upsert(Points([f"new-{number}", "old"], rows(2, number)))
        errors.append(caught.value)

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "_commit", broken)
        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(errors) == 8
    assert collection.count() == 1
    assert collection.search(SearchRequest(rows(1), 5)).scores[0] == pytest.approx(1, abs=1e-5)
    assert collection.upsert(Points(["new"], rows(1, 3))).version == 2
    engine.close()
    again = FaissEngine(tmp_path, threads=1)
    assert list(again.get("c").scan().points.ids) == ["old", "new"]
    again.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def write_until_refused(collection: Collection) -> None:
    for number in range(1000):
        ids = [f"{number}-{i}" for i in range(500)]
        assert collection.upsert(Points(ids, rows(500, number))).written == 500


def test_a_full_disk_refuses_writes_and_reads_go_on(small_disk: Path, tmp_path: Path) -> None:
    options = EngineOptions(threads=1, seal_rows=2000, retry_seconds=0.05)
    engine = FaissEngine(small_disk, options=options)
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    with pytest.raises(StorageError):
        write_until_refused(collection)
    written = collection.count()
    assert written >= 500
    assert written % 500 == 0
    first = collection.get(["0-7"], with_vectors=True)[0]
    assert first.vectors is not None
    hits = collection.search(SearchRequest(first.vectors, 1))
    assert hits.points.ids == ["0-7"]
    with pytest.raises(StorageError):
        engine.snapshot("c", small_disk / "c.tar")
    assert not list(small_disk.glob("c.tar*"))
    assert collection.count() == written
    engine.close()
    shutil.copytree(small_disk, tmp_path / "large")
    engine = FaissEngine(tmp_path / "large", options=options)
    collection = engine.get("c")
    assert collection.count() == written
    collection.upsert(Points(["more"], rows(1)))
    collection.optimize(full=True)
    assert collection.info.state is CollectionState.READY
    assert collection.search(SearchRequest(first.vectors, 1)).points.ids == ["0-7"]
    engine.close()


def test_sealing_on_a_full_disk_is_tried_again(small_disk: Path) -> None:
    engine = FaissEngine(
        small_disk, options=EngineOptions(threads=1, seal_rows=1000, retry_seconds=0.05)
    )
    filler = small_disk / "filler"
    collection = engine.create("c", CollectionSpec(DIM))
    collection.upsert(Points([str(i) for i in range(999)], rows(999)))
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"x" * (free - 200_000))
    collection.upsert(Points(["last"], rows(1)))
    deadline = time.monotonic() + 20
    while collection.info.state is CollectionState.READY and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "No space left" in collection.info.state_reason
    assert collection.count() == 1000
    filler.unlink()
    collection.optimize()
    assert collection.info.state is CollectionState.READY
    assert [part.state.value for part in collection.info.segments] == ["sealed"]
    engine.close()


def test_a_read_only_folder_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        engine = FaissEngine(folder, threads=1)
        collection = engine.create("c", CollectionSpec(DIM))
        collection.upsert(Points(["a"], rows(1)))
        engine.close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(StorageError, match="cannot be written"):
            FaissEngine(folder, threads=1)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_deleting_gives_disk_and_memory_back(tmp_path: Path) -> None:
    engine = FaissEngine(tmp_path, options=EngineOptions(threads=1, seal_rows=2000))
    collection = engine.create("c", CollectionSpec(DIM, recipe="hnsw"))
    payloads = [orjson.dumps({"text": "x" * 200})] * 1000
    for number in range(10):
        ids = [f"{number}-{i}" for i in range(1000)]
        collection.upsert(Points(ids, rows(1000, number), payloads))
    collection.optimize(full=True)
    full = collection.info
    for number in range(8):
        collection.delete([f"{number}-{i}" for i in range(1000)])
    collection.optimize()
    small = collection.info
    assert small.points == 2000
    assert [part.tombstones for part in small.segments] == [0] * len(small.segments)
    assert small.memory_bytes < 0.4 * full.memory_bytes
    engine.close()
    engine = FaissEngine(tmp_path, threads=1)
    assert engine.get("c").info.disk_bytes < 0.4 * full.disk_bytes
    engine.close()
