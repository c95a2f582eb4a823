"""Snapshots: whole, of one moment, checked, and refused where they do not fit."""

import io
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from index.base import SearchRequest
from index.engine import FaissEngine
from index.errors import CollectionExistsError, SnapshotError, SpecError, StorageError
from index.options import EngineOptions
from index.recipes.hnsw import Hnsw
from index.segments.durable import checksum
from index.store.spec_json import dump_spec
from index.types import CollectionSpec, FieldType, IndexParameters, Metric, Points

DIM = 16
SPEC = CollectionSpec(DIM, Metric.DOT, "hnsw", "model", "space", {"n": FieldType.INT})
ROWS = np.random.default_rng(1).standard_normal((4000, DIM), dtype=np.float32)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    engine = FaissEngine(tmp_path / "data", options=EngineOptions(threads=1, seal_rows=2500))
    yield engine
    engine.close()


@pytest.fixture
def archive(engine: FaissEngine, tmp_path: Path) -> Path:
    collection = engine.create("c", SPEC)
    payloads = [b'{"n":%d}' % i for i in range(len(ROWS))]
    ids = [f"p{i}" for i in range(len(ROWS))]
    collection.upsert(Points(ids[:3000], ROWS[:3000], payloads[:3000], ["text"] * 3000))
    collection.optimize()
    collection.upsert(Points(ids[3000:], ROWS[3000:], payloads[3000:], ["text"] * 1000))
    collection.delete(["p5"])
    info = engine.snapshot("c", tmp_path / "c.tar")
    assert (info.points, info.version) == (3999, 3)
    return tmp_path / "c.tar"


def test_restores_under_a_new_name(
    engine: FaissEngine, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError("a restored index was built again")

    monkeypatch.setattr(Hnsw, "build", unwanted)
    restored = engine.restore(archive, "d")
    original = engine.get("c")
    assert restored.info.spec == SPEC
    assert restored.info.version == 3
    request = SearchRequest(ROWS[:20], 10, with_payload=True, with_vectors=True)
    one, other = original.search(request), restored.search(request)
    assert one.points.ids == other.points.ids
    assert one.points.payloads == other.points.payloads
    np.testing.assert_array_equal(one.scores, other.scores)
    restored.upsert(Points(["new"], ROWS[:1]))
    assert (original.count(), restored.count()) == (3999, 4000)
    with pytest.raises(CollectionExistsError):
        engine.restore(archive, "d")
    with pytest.raises(SpecError):
        engine.restore(archive, "../d")


def test_is_of_one_moment_while_writes_go_on(engine: FaissEngine, tmp_path: Path) -> None:
    """Each write replaces a pair of points together; a snapshot never has half a pair."""
    collection = engine.create("c", SPEC)
    stop = threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ids = [f"{writer}-{number % 7}-{side}" for side in "ab"]
            payload = b'{"n":%d}' % number
            collection.upsert(Points(ids, ROWS[:2], [payload, payload]))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for number in range(6):
        if number % 2:
            collection.optimize()
        info = engine.snapshot("c", tmp_path / f"{number}.tar")
        restored = engine.restore(tmp_path / f"{number}.tar", f"r{number}")
        points = restored.scan(limit=100).points
        assert len(points) == restored.count() == info.points
        payloads = dict(zip(points.ids, points.payloads or [], strict=True))
        for point_id, payload in payloads.items():
            assert payloads[point_id[:-1] + "a"] == payloads[point_id[:-1] + "b"] == payload
    stop.set()
    for thread in threads:
        thread.join()


def rewritten(archive: Path, target: Path, name: str, change: bytes | None) -> Path:
    """The archive with one member changed, or left out."""
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == name:
                if change is None:
                    continue
                data = change
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target


def test_refuses_another_format_version(engine: FaissEngine, archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as opened:
        head = orjson.loads(opened.extractfile("snapshot.json").read())  # type: ignore[union-attr]
    newer = orjson.dumps({"kind": head["kind"], "format": 2, "something": "else"})
    changed = rewritten(archive, tmp_path / "new.tar", "snapshot.json", newer)
    with pytest.raises(SnapshotError, match="format version 2; this version reads 1"):
        engine.restore(changed, "d")
    assert engine.names() == ["c"]


@pytest.mark.parametrize("position", [0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_refuses_damage(
    engine: FaissEngine, archive: Path, tmp_path: Path, position: float, how: str
) -> None:
    data = bytearray(archive.read_bytes())
    if how == "flip":
        data[int(position * len(data))] ^= 4
    else:
        del data[int(position * len(data)) :]
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(SnapshotError):
        engine.restore(tmp_path / "bad.tar", "d")
    assert engine.names() == ["c"]
    assert sorted(path.name for path in (tmp_path / "data" / "collections").iterdir()) == ["c"]


def test_refuses_missing_members_and_strangers(
    engine: FaissEngine, archive: Path, tmp_path: Path
) -> None:
    lost = rewritten(archive, tmp_path / "lost.tar", "store.db", None)
    with pytest.raises(SnapshotError, match=r"store\.db"):
        engine.restore(lost, "d")
    with tarfile.open(tmp_path / "evil.tar", "w") as evil:
        evil.addfile(tarfile.TarInfo("../../evil"), io.BytesIO(b""))
    with pytest.raises(SnapshotError):
        engine.restore(tmp_path / "evil.tar", "d")
    (tmp_path / "text.tar").write_text("no archive at all")
    for name in ("text.tar", "absent.tar"):
        with pytest.raises(SnapshotError):
            engine.restore(tmp_path / name, "d")


def test_a_member_outside_the_folder_is_refused(
    engine: FaissEngine, archive: Path, tmp_path: Path
) -> None:
    with tarfile.open(archive) as opened:
        head = orjson.loads(opened.extractfile("snapshot.json").read())  # type: ignore[union-attr]
    head["files"] = {"../../outside": {"size": 0, "crc": 0}}
    body = orjson.dumps(head)
    with tarfile.open(tmp_path / "evil.tar", "w") as evil:
        first = tarfile.TarInfo("snapshot.json")
        first.size = len(body)
        evil.addfile(first, io.BytesIO(body))
        evil.addfile(tarfile.TarInfo("../../outside"), io.BytesIO(b""))
    with pytest.raises(SnapshotError, match="outside"):
        engine.restore(tmp_path / "evil.tar", "d")
    assert not list(tmp_path.rglob("outside"))


def test_progress_may_cancel(engine: FaissEngine, archive: Path, tmp_path: Path) -> None:
    stages = []

    def stop(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage in ("pack", "restore"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.snapshot("c", tmp_path / "new.tar", stop)
    with pytest.raises(KeyboardInterrupt):
        engine.restore(archive, "d", stop)
    assert stages == ["copy", "pack", "restore"]
    assert not list(tmp_path.glob("new.tar*"))
    assert engine.names() == ["c"]


def remade(archive: Path, target: Path, *statements: str, spec: bytes | None = None) -> Path:
    """A snapshot of somebody's own making: another store, with the right checksums."""
    with tarfile.open(archive) as opened:
        head = orjson.loads(opened.extractfile("snapshot.json").read())  # type: ignore[union-attr]
        data = opened.extractfile("store.db").read()  # type: ignore[union-attr]
    path = target.with_suffix(".db")
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as store, store:
        for statement in statements:
            store.executescript(statement)
        if spec is not None:
            store.execute("UPDATE meta SET value = ? WHERE key = 'spec'", (spec,))
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA journal_mode = DELETE")
    head["files"]["store.db"] = {"size": path.stat().st_size, "crc": checksum(path)}
    between = rewritten(archive, target.with_suffix(".between"), "store.db", path.read_bytes())
    return rewritten(between, target, "snapshot.json", orjson.dumps(head))


def changed_spec(**fields: object) -> bytes:
    return orjson.dumps(orjson.loads(dump_spec(SPEC)) | fields)


RECURSION = """
ALTER TABLE points RENAME TO hidden;
CREATE VIEW points AS WITH RECURSIVE c(slot) AS (SELECT 1 UNION ALL SELECT slot + 1 FROM c)
SELECT slot, 'p' || slot AS id, 0 AS modality, x'7b7d' AS payload FROM c;
"""
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON points BEGIN DELETE FROM vectors; END;"


@pytest.mark.parametrize(
    ("statements", "spec", "problem"),
    [
        ([], changed_spec(dim=-1), "dim must be"),
        ([], changed_spec(fields=["a", "b"]), "declaration is damaged"),
        ([], changed_spec(metric="hamming"), "declaration is damaged"),
        ([], b"{", "declaration is damaged"),
        ([], b"[]", "declaration is damaged"),
        ([], changed_spec(recipe="factory:" + "I" * 20_000), "at most 64 letters"),
        ([], changed_spec(recipe="nonsense"), "recipe 'nonsense' is unknown"),
        ([], changed_spec(index={"m": 1_000_000}), r"index\.m must be"),
        (["DELETE FROM meta WHERE key = 'spec'"], None, "its spec is missing"),
        (["DROP TABLE vectors"], None, "other tables"),
        ([RECURSION], None, "other tables"),
        ([TRIGGER], None, "other tables"),
        (["UPDATE points SET modality = 200 WHERE slot = 7"], None, "1 points .* modality"),
        (["UPDATE vectors SET vector = x'00' WHERE slot > 3000"], None, "damaged"),
    ],
)
def test_what_is_refused_leaves_nothing_and_ends_nothing(
    engine: FaissEngine,
    archive: Path,
    tmp_path: Path,
    statements: list[str],
    spec: bytes | None,
    problem: str,
) -> None:
    hostile = remade(archive, tmp_path / "hostile.tar", *statements, spec=spec)
    with pytest.raises(StorageError, match=problem):
        engine.restore(hostile, "d")
    assert engine.names() == ["c"]
    assert [path.name for path in (tmp_path / "data" / "collections").iterdir()] == ["c"]
    assert engine.restore(archive, "d").count() == 3999


def test_a_snapshot_of_a_newer_version_with_more_in_its_declaration(
    engine: FaissEngine, archive: Path, tmp_path: Path
) -> None:
    newer = changed_spec(invented_later={"x": 1}, index={"m": 16, "invented_later": 2})
    restored = engine.restore(remade(archive, tmp_path / "newer.tar", spec=newer), "d")
    assert restored.spec == replace(SPEC, index=IndexParameters(m=16))
    assert restored.count() == 3999


def test_a_sparse_member_is_not_written_out(
    engine: FaissEngine, archive: Path, tmp_path: Path
) -> None:
    """GNU tar stores holes as their size alone: a few hundred bytes would fill the disk."""
    hole = 1 << 30
    with (tmp_path / "store.db").open("wb") as file:
        file.truncate(hole)
    tar = ["tar", "--sparse", "--format=gnu", "-cf", str(tmp_path / "sparse.tar"), "store.db"]
    subprocess.run(tar, check=True, cwd=tmp_path)
    with tarfile.open(archive) as old:
        head = orjson.loads(old.extractfile("snapshot.json").read())  # type: ignore[union-attr]
    body = orjson.dumps(head | {"files": {"store.db": {"size": hole, "crc": 0}}})
    first = tarfile.TarInfo("snapshot.json")
    first.size = len(body)
    described = first.tobuf() + body + bytes(-len(body) % 512)
    (tmp_path / "evil.tar").write_bytes(described + (tmp_path / "sparse.tar").read_bytes())
    assert (tmp_path / "evil.tar").stat().st_size < 1 << 20
    with pytest.raises(SnapshotError, match="does not belong"):
        engine.restore(tmp_path / "evil.tar", "d")
