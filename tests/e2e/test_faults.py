"""Full disks, damaged files and folders that cannot be written, through server and client."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from latentspace import Client
from latentspace.enums import CollectionState
from latentspace.errors import FailedPreconditionError, LatentspaceError
from latentspace.requests.options import SearchParams
from services.app.local import LocalServer
from tests.e2e.disks import SmallDisk, read_only, small_disk
from tests.index.spoiling import spoil

DIM, SEAL_ROWS, KIB = 64, 2500, 1 << 10
SETTINGS = {"models": {}, "index": {"seal_rows": SEAL_ROWS}}
ROWS = np.random.default_rng(4).standard_normal((14_000, DIM), dtype=np.float32)
FULL = re.compile("full|no space", re.IGNORECASE)
PATIENCE_S = 60.0


def put(client: Client, collection: str, first: int, last: int) -> None:
    """Points named by the rows they have."""
    span = range(first, last)
    payloads = [{"year": i % 10} for i in span]
    client.upsert(collection, list(map(str, span)), vectors=ROWS[first:last], payloads=payloads)


def put_in_steps(client: Client, first: int, last: int) -> None:
    for step in range(first, last, 50):
        put(client, "c", step, step + 50)


def check(client: Client, collection: str, expected: set[int]) -> None:
    """Reads and searches answer from exactly these rows."""
    assert client.count(collection) == len(expected)
    stored = {int(p.id): p.vector for p in client.scroll(collection, with_vectors=True)}
    assert stored.keys() == expected
    places = sorted(expected)
    np.testing.assert_array_equal(np.array([stored[i] for i in places]), ROWS[places])
    queries = ROWS[:16] + 0.1
    best = -np.partition(-(queries @ ROWS[places].T), 9, axis=1)[:, 9:10]
    efforts: list[tuple[SearchParams, float]] = [({"exact": True}, 1.0), ({"ef": 300}, 0.9)]
    for params, least in efforts:
        found = client.search_batch(collection, vectors=queries, k=10, params=params)
        assert {int(one) for one in found.ids.ravel()} <= expected
        assert np.mean(found.scores >= best - 1e-3) >= least


def wait_for(client: Client, collection: str, state: CollectionState) -> str:
    """Waits until a collection is in this state; the reason it then gives."""
    end = time.monotonic() + PATIENCE_S
    while (info := client.collection(collection)).state is not state:
        assert time.monotonic() < end, f"{collection} is still {info.state}: {info.state_reason}"
        time.sleep(0.05)
    return info.state_reason


def create(client: Client, collection: str = "c") -> None:
    client.create_collection(
        collection, dim=DIM, recipe="hnsw", metric="dot", fields={"year": "int"}
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        with small_disk(tmp_path / "disk", mib=24) as made:
            yield made
    except PermissionError as error:
        pytest.skip(f"a small disk cannot be mounted: {error}")


@pytest.fixture
def server(disk: SmallDisk) -> Iterator[LocalServer]:
    with LocalServer(disk.folder / "data", SETTINGS) as running:
        yield running


@pytest.fixture
def ls(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as client:
        create(client)
        put(client, "c", 0, 1000)
        yield client


def check_refusals(ls: Client, disk: SmallDisk) -> None:
    """What writes is refused with its reason; what still finds room may work."""
    calls: list[Callable[[], object]] = [
        lambda: put(ls, "c", 3000, 4000),
        lambda: ls.create_collection("other", dim=2),
        lambda: ls.set_alias("alias", "c"),
        lambda: ls.update_collection("c", add_fields={"tag": "keyword"}),
        lambda: ls.optimize("c"),
    ]
    reasons: list[str] = []
    for call in calls:
        disk.fill(left_bytes=0)
        try:
            call()
        except FailedPreconditionError as error:
            reasons.append(str(error))
    assert len(reasons) >= 2
    assert all(FULL.search(reason) for reason in reasons), reasons


def restarted(server: LocalServer, disk: SmallDisk, expected: set[int]) -> None:
    """What was acknowledged is there after the server was killed, too."""
    server.kill()
    with LocalServer(disk.folder / "data", SETTINGS) as again, Client(again.address) as client:
        check(client, "c", expected)


def test_a_full_disk_refuses_writes_and_nothing_else(
    ls: Client, server: LocalServer, disk: SmallDisk
) -> None:
    disk.fill(left_bytes=100 * KIB)
    with pytest.raises(FailedPreconditionError, match=FULL):
        put_in_steps(ls, 1000, 2000)
    there = ls.collection("c").points
    assert there in range(1000, 2000, 50)
    expected = set(range(there))
    check(ls, "c", expected)
    check_refusals(ls, disk)
    check(ls, "c", expected)
    disk.free()
    put(ls, "c", 5000, 5100)
    expected |= set(range(5000, 5100))
    ls.update_collection("c", add_fields={"tag": "keyword"})
    ls.update_payload("c", ids=["1"], payload={"tag": "new"})
    assert ls.count("c", filter={"tag": "new"}) == 1
    ls.delete("c", ["0"])
    expected -= {0}
    check(ls, "c", expected)
    restarted(server, disk, expected)


def kept_in_health(server: LocalServer, name: str) -> bool:
    with grpc.insecure_channel(server.address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)


def wait_for_health(server: LocalServer, name: str, serving: bool) -> None:
    end = time.monotonic() + PATIENCE_S
    while kept_in_health(server, name) is not serving:
        assert time.monotonic() < end, f"{name} stays {not serving}"
        time.sleep(0.05)


def scraped(server: LocalServer) -> str:
    line = next(line for line in server.log if '"event": "metrics"' in line)
    with urllib.request.urlopen(json.loads(line)["address"]) as reply:
        return str(reply.read().decode())


def test_failed_writes_show_in_state_health_metrics_and_log(disk: SmallDisk) -> None:
    settings = SETTINGS | {"metrics_listen": "127.0.0.1:0", "health": {"interval_s": 0.2}}
    keeping = "latentspace.v1.CollectionService"
    with LocalServer(disk.folder / "data", settings) as server, Client(server.address) as client:
        create(client)
        put(client, "c", 0, 1000)
        assert kept_in_health(server, keeping)
        assert 'latentspace_collection_writes_fail{collection="c"} 0' in scraped(server)
        disk.fill(left_bytes=0)
        with pytest.raises(FailedPreconditionError, match=FULL):
            put(client, "c", 1000, 5000)
        info = client.collection("c")
        assert info.state is CollectionState.DEGRADED
        assert FULL.search(info.state_reason)
        wait_for_health(server, keeping, False)
        assert kept_in_health(server, "latentspace.v1.SearchService")
        assert kept_in_health(server, "")
        text = scraped(server)
        assert 'latentspace_collection_writes_fail{collection="c"} 1' in text
        assert "latentspace_disk_free_bytes 0.0" in text
        disk.free()
        assert wait_for(client, "c", CollectionState.READY) == ""  # nobody writes meanwhile
        wait_for_health(server, keeping, True)
        text = scraped(server)
        assert 'latentspace_collection_writes_fail{collection="c"} 0' in text
        (failed,) = re.findall(r'_collection_failed_writes_total{collection="c"} (.*)', text)
        # of a large call some pieces may have been written
        kept = client.count("c")
        put(client, "c", 9000, 9010)
        assert client.count("c") == kept + 10
    events = [json.loads(line) for line in server.log]
    levels = {event["event"]: event["level"] for event in events}
    assert (levels["writes fail"], levels["writes work again"]) == ("error", "warning")
    calls = [event for event in events if event["event"] == "call"]
    assert {(call["call"], call["level"]) for call in calls} == {
        ("CollectionService.UpsertPoints", "error")
    }
    assert 1 <= len(calls) <= float(failed)  # a large call is written in several pieces


def test_a_segment_that_finds_no_room_is_sealed_later(
    ls: Client, server: LocalServer, disk: SmallDisk
) -> None:
    put(ls, "c", 1000, SEAL_ROWS - 100)
    disk.fill(left_bytes=400 * KIB)
    put(ls, "c", SEAL_ROWS - 100, SEAL_ROWS + 10)
    expected = set(range(SEAL_ROWS + 10))
    assert FULL.search(wait_for(ls, "c", CollectionState.DEGRADED))
    check(ls, "c", expected)
    put(ls, "c", 9000, 9010)
    expected |= set(range(9000, 9010))
    check(ls, "c", expected)
    assert not list(disk.folder.glob("data/collections/c/segments/*"))
    disk.free()
    assert wait_for(ls, "c", CollectionState.READY) == ""
    ls.optimize("c")
    assert "hnsw" in {segment.recipe for segment in ls.collection("c").segments}
    check(ls, "c", expected)
    restarted(server, disk, expected)


@pytest.mark.parametrize("left_bytes", [0, 100 * KIB, 600 * KIB])
def test_a_snapshot_that_finds_no_room_leaves_nothing(
    ls: Client, disk: SmallDisk, left_bytes: int
) -> None:
    put(ls, "c", 1000, 2 * SEAL_ROWS)
    ls.optimize("c")
    ls.snapshot("c", "good")
    disk.fill(left_bytes)
    with pytest.raises(LatentspaceError, match=FULL) as caught:
        ls.snapshot("c", "bad")
    assert caught.value.reason != "INTERNAL"
    assert [snapshot.name for snapshot in ls.snapshots()] == ["good"]
    left = {path.name for path in disk.folder.rglob("*") if "bad" in path.name}
    assert not left | {path.name for path in disk.folder.glob("data/collections/c/.snapshot-*")}
    check(ls, "c", set(range(2 * SEAL_ROWS)))
    disk.free()
    ls.snapshot("c", "bad")
    ls.restore("bad", "again")
    check(ls, "again", set(range(2 * SEAL_ROWS)))


def test_a_restore_that_finds_no_room_leaves_nothing(ls: Client, disk: SmallDisk) -> None:
    put(ls, "c", 1000, 2 * SEAL_ROWS)
    ls.snapshot("c", "saved")
    disk.fill(left_bytes=300 * KIB)
    with pytest.raises(LatentspaceError, match=FULL):
        ls.restore("saved", "again")
    assert [collection.name for collection in ls.collections()] == ["c"]
    disk.free()
    ls.restore("saved", "again")
    check(ls, "again", set(range(2 * SEAL_ROWS)))


DAMAGES = [f"{role}-{how}" for role in ("index", "rows") for how in ("flip", "cut", "lose")]


def test_damaged_segments_answer_at_once_and_mend_themselves(tmp_path: Path) -> None:
    """Six small collections behind a large one, whose graph is the first to be built again."""
    sizes = {"a-large": len(ROWS)} | dict.fromkeys(DAMAGES, SEAL_ROWS)
    with LocalServer(tmp_path, SETTINGS) as server, Client(server.address) as client:
        for name, size in sizes.items():
            create(client, name)
            put(client, name, 0, size)
            client.optimize(name, full=True)
            client.delete(name, ["7"])
    for number, name in enumerate(sizes):
        role, how = name.split("-") if name in DAMAGES else ("index", "flip")
        (path,) = tmp_path.glob(f"collections/{name}/segments/*.{role}")
        spoil(path, 1_234_567 + number, how)
    with LocalServer(tmp_path, SETTINGS) as server, Client(server.address) as client:
        for name in sizes:
            info = client.collection(name)
            assert info.state is CollectionState.DEGRADED, name
            assert re.search("damaged or missing", info.state_reason), name
        for name, size in reversed(sizes.items()):
            check(client, name, set(range(size)) - {7})
        for name, size in sizes.items():
            assert wait_for(client, name, CollectionState.READY) == ""
            (segment,) = client.collection(name).segments
            assert segment.recipe == "hnsw"
            check(client, name, set(range(size)) - {7})


def test_a_damaged_store_takes_only_its_own_collection_along(tmp_path: Path) -> None:
    with LocalServer(tmp_path, SETTINGS) as server, Client(server.address) as client:
        for name in ("good", "bad"):
            create(client, name)
            put(client, name, 0, 100)
    (tmp_path / "collections/bad/store.db").write_bytes(b"no database" * 1000)
    with LocalServer(tmp_path, SETTINGS) as server, Client(server.address) as client:
        check(client, "good", set(range(100)))
        assert [collection.name for collection in client.collections()] == ["good"]
        with pytest.raises(FailedPreconditionError, match="bad"):
            client.count("bad")
        client.delete_collection("bad")
        create(client, "bad")


def refused(folder: Path) -> str:
    with pytest.raises(RuntimeError) as caught:
        LocalServer(folder, SETTINGS).kill()
    said = str(caught.value)
    assert "Traceback" not in said
    assert str(folder) in said
    assert "--data-dir" in said
    return said


def test_a_folder_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with LocalServer(folder, SETTINGS) as server, Client(server.address) as client:
        create(client)
        put(client, "c", 0, 100)
    try:
        with read_only(folder):
            said = refused(folder)
    except PermissionError as error:
        pytest.skip(f"a folder cannot be made read-only for root: {error}")
    assert re.search("read-only|permission", said, re.IGNORECASE)
    with LocalServer(folder, SETTINGS) as server, Client(server.address) as client:
        check(client, "c", set(range(100)))


def test_a_folder_that_cannot_be_made_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(tmp_path / "file" / "data")
