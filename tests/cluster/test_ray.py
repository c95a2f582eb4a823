"""Jobs on a local Ray cluster: the same outcome as a job without it, point for point."""

import gzip
import io
import json
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from gensim.models import KeyedVectors
from PIL import Image
from typer.testing import CliRunner

from latentspace import Client, FailedPreconditionError, InvalidArgumentError
from latentspace.cli.app import app
from latentspace.indexing.engines import ClusterOptions, EngineError, find_engine
from latentspace.indexing.export import open_export
from latentspace.indexing.job import run_job
from latentspace.indexing.options import JobOptions, Progress, SourceError, TooManyErrorsError
from latentspace.indexing.records import BadRecord, Source
from latentspace.indexing.sources.choosing import open_source
from latentspace.inputs import TextInput
from latentspace.requests.importing import NewPoint
from services.app.local import LocalServer

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'ray[data]'")
from services.cluster.engine import run_ray_job  # noqa: E402 needs ray
from services.cluster.hosting import HostedModel, ModelSpec  # noqa: E402
from services.cluster.parcels import Parcel, pack, unpack  # noqa: E402
from services.cluster.reading import PARCEL_BYTES, RecordsDatasource, parts  # noqa: E402
from services.cluster.stages import Encode  # noqa: E402

pytestmark = pytest.mark.timeout(600)
CLUSTER = ClusterOptions("local", readers=2)
Contents = dict[str, tuple[Any, Any, np.ndarray]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("cluster")
    rng = np.random.default_rng(7)
    vectors = KeyedVectors(25, count=0)
    words = [f"word{i}" for i in range(300)]
    vectors.add_vectors(words, rng.standard_normal((300, 25)).astype(np.float32))
    vectors.save_word2vec_format(str(folder / "words.bin"), binary=True)
    models = {
        "toy": {"family": "hash", "options": {"dim": 16, "max_tokens": 50}},
        "words": {"family": "word2vec", "source": str(folder / "words.bin")},
        "clip": {"family": "clip"},
    }
    with LocalServer(folder / "data", {"models": models}) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One for all tests: it takes seconds to start."""
    ray.init("local", num_cpus=2, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def contents(client: Client, name: str) -> Contents:
    found: Contents = {}
    for one in client.scroll(name, with_vectors=True):
        assert one.vector is not None
        found[one.id] = (one.payload, one.modality, one.vector)
    return found


def same(ours: Contents, wanted: Contents, tolerance: float = 0.0) -> None:
    assert {id: one[:2] for id, one in ours.items()} == {id: one[:2] for id, one in wanted.items()}
    for id, (_, _, vector) in wanted.items():
        np.testing.assert_allclose(ours[id][2], vector, rtol=0, atol=tolerance)


def both(
    client: Client, name: str, source: Source, model: str, **options: Any
) -> tuple[Progress, Progress]:
    """Indexes with Ray and without, and compares what became of every record."""
    for one in (f"{name}-ray", f"{name}-here"):
        if one not in {known.name for known in client.collections()}:
            client.create_collection(one, model=model, fields={"n": "int"})
    bad: dict[str, list[BadRecord]] = {"ray": [], "here": []}
    told = run_ray_job(
        client.target,
        source,
        JobOptions(f"{name}-ray", **options),
        CLUSTER,
        on_failed=bad["ray"].append,
    )
    wanted = run_job(
        client, source, JobOptions(f"{name}-here", **options), None, bad["here"].append
    )
    key = str
    assert sorted(bad["ray"], key=key) == sorted(bad["here"], key=key)
    for count in ("total", "read", "unchanged", "written", "failed", "deleted", "finished"):
        assert getattr(told, count) == getattr(wanted, count), count
    return told, wanted


def rows(path: Path, count: int, start: int = 0) -> Path:
    """Texts, of which some repeat an id, some are empty and some have none."""
    lines = [{"id": f"r{i}", "text": f"text number {i}", "n": i} for i in range(start, count)]
    lines.insert(5, {"id": "empty", "text": "", "n": 0})
    lines.insert(700, {"id": "r3", "text": "repeated", "n": 0})
    lines.insert(900, {"id": "odd", "text": "x", "n": "not a number"})
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_texts_and_what_is_wrong_with_them(client: Client, tmp_path: Path) -> None:
    source = open_source(str(rows(tmp_path / "rows.jsonl", 2000)))
    told, _ = both(client, "texts", source, "toy", batch_items=64)
    assert (told.read, told.written, told.failed) == (2003, 2000, 3)
    same(contents(client, "texts-ray"), contents(client, "texts-here"))
    # a Ray job after one without, and the other way round: nothing is left to do
    told = run_ray_job(client.target, source, JobOptions("texts-here"), CLUSTER)
    assert (told.written, told.unchanged) == (0, 2000)
    again = run_job(client, source, JobOptions("texts-ray"))
    assert (again.written, again.unchanged) == (0, 2000)
    # some gone, some changed, some new
    fewer = open_source(str(rows(tmp_path / "rows.jsonl", 1500, start=200)))
    options = {"batch_items": 64, "delete_missing": True, "embed": {"role": "query"}}
    told, _ = both(client, "texts", fewer, "toy", **options)
    # the id that came twice is now there once
    assert (told.written, told.deleted) == (1301, 699)
    same(contents(client, "texts-ray"), contents(client, "texts-here"))


def test_images_through_clip(client: Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for i in range(24):
        pixels = rng.integers(0, 255, (40 + 10 * i, 300, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "7.jpg").read_bytes()[:200])
    both(client, "images", open_source(str(tmp_path)), "clip", resize=128)
    ours, wanted = contents(client, "images-ray"), contents(client, "images-here")
    assert len(wanted) == 24
    assert {one[1] for one in wanted.values()} == {"image"}
    # batches of other sizes round otherwise
    same(ours, wanted, tolerance=1e-5)


def test_fewer_numbers_than_the_model_has(client: Client, tmp_path: Path) -> None:
    for one in ("short-ray", "short-here"):
        client.create_collection(one, model="toy", dim=8, fields={"n": "int"})
    told, _ = both(client, "short", open_source(str(rows(tmp_path / "r.jsonl", 950))), "toy")
    assert told.written == 950
    same(contents(client, "short-ray"), contents(client, "short-here"))


def test_keys_of_a_vocabulary(client: Client, tmp_path: Path) -> None:
    (tmp_path / "graph.edges").write_text("word1 word2\nword3 word4\nword5 nobody\n")
    source = open_source(str(tmp_path / "graph.edges"))
    told, _ = both(client, "keys", source, "words")
    assert (told.written, told.failed) == (5, 1)
    same(contents(client, "keys-ray"), contents(client, "keys-here"))


def test_vectors_and_exports(client: Client, tmp_path: Path) -> None:
    source = open_source(str(rows(tmp_path / "few.jsonl", 950)))
    client.create_collection("few", model="toy")
    run_job(client, source, JobOptions("few"))
    for out in ("few", "few.parquet"):
        client.export("few", tmp_path / out)
        export = open_export(tmp_path / out)
        assert export is not None
        name = f"back-{out.replace('.', '-')}"
        client.create_collection(name, dim=16, space_id=client.collection("few").space_id)
        told = run_ray_job(client.target, export, JobOptions(name), CLUSTER)
        assert told.written == 951  # nothing says here that n is a number
        back, wanted = contents(client, name), contents(client, "few")
        assert {id: one[1] for id, one in back.items()} == dict.fromkeys(wanted, "text")
        for id, one in wanted.items():
            # brought to unit length once more
            np.testing.assert_allclose(back[id][2], one[2], rtol=0, atol=1e-6)


def test_a_source_that_breaks_off(client: Client, tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(b"line %d" % i for i in range(20_000)))
    (tmp_path / "cut.txt.gz").write_bytes(packed[: len(packed) // 2])
    source = open_source(str(tmp_path / "cut.txt.gz"))
    client.create_collection("cut-ray", model="toy")
    client.create_collection("cut-here", model="toy")
    with pytest.raises(SourceError, match="damaged or cut off"):
        run_ray_job(client.target, source, JobOptions("cut-ray"), CLUSTER)
    with pytest.raises(SourceError, match="damaged or cut off"):
        run_job(client, source, JobOptions("cut-here"))
    # all that came before the fault
    assert client.count("cut-ray") >= client.count("cut-here") > 1000


def test_too_many_errors_and_a_refused_job(client: Client, tmp_path: Path) -> None:
    lines = [{"id": str(i), "text": ""} for i in range(600)]
    (tmp_path / "bad.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = open_source(str(tmp_path / "bad.jsonl"))
    client.create_collection("bad", model="toy")
    with pytest.raises(TooManyErrorsError, match="more than the 3 allowed"):
        run_ray_job(client.target, source, JobOptions("bad", max_errors=3), CLUSTER)
    good = open_source(str(rows(tmp_path / "good.jsonl", 950)))
    refused = JobOptions("bad", embed={"dimensions": 5000})
    with pytest.raises(InvalidArgumentError, match="dimensions"):
        run_ray_job(client.target, good, refused, CLUSTER)
    stdin = open_source("-")
    with pytest.raises(SourceError, match="standard input"):
        run_ray_job(client.target, stdin, JobOptions("bad"), CLUSTER)
    shared = ClusterOptions("local", gpus=0.5)
    with pytest.raises(EngineError, match=r"0\.5 GPUs"):
        run_ray_job(client.target, good, JobOptions("bad"), shared)


def test_other_weights_than_the_servers_are_refused() -> None:
    with pytest.raises(FailedPreconditionError, match=r"is of the space .* install the same"):
        HostedModel(ModelSpec("toy", "hash", "", "another space", {"dim": 16}))
    with pytest.raises(FailedPreconditionError, match=r"cannot be loaded: .*no\.bin"):
        HostedModel(ModelSpec("words", "word2vec", "/no.bin", "any"))


def test_what_nobody_expected_is_told_too() -> None:
    stage = Encode(ModelSpec("toy", "hash", "", ""), JobOptions("any"))
    torn = Parcel(records=[], points=[NewPoint("a", TextInput("x"), {}), 5])  # type: ignore[list-item]
    (told,) = unpack(stage(pack([torn])))
    assert isinstance(told.told.broken, EngineError)
    assert "encode on " in str(told.told.broken)
    assert "AttributeError: 'int' object has no attribute 'input'" in str(told.told.broken)


def test_a_killed_encoder_costs_nothing(client: Client, tmp_path: Path) -> None:
    """Ray starts it anew, and gives it what it had."""
    source = open_source(str(rows(tmp_path / "many.jsonl", 12_000)))
    client.create_collection("killed", model="toy")
    client.create_collection("calm", model="toy")
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 120
        while not killed and time.monotonic() < end:
            for process in psutil.process_iter(["name", "cmdline"]):
                if "MapBatches(Encode)" in " ".join(process.info["cmdline"] or ()):
                    if client.count("killed") > 200:
                        process.send_signal(signal.SIGKILL)
                        killed.append(process.pid)
                    break
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    told = run_ray_job(client.target, source, JobOptions("killed", batch_items=32), CLUSTER)
    thread.join()
    assert killed
    assert told.written == 12_001
    run_job(client, source, JobOptions("calm"))
    same(contents(client, "killed"), contents(client, "calm"))


def test_from_the_command_line(client: Client, tmp_path: Path) -> None:
    assert find_engine("ray") is run_ray_job
    with pytest.raises(EngineError, match="pip install"):
        find_engine("abacus")
    source = rows(tmp_path / "said.jsonl", 950)
    letters = tmp_path / "letters.jsonl"
    command = ["index", str(source), "-c", "said", "--server", client.target, "--ray", "local"]
    asked = [*command, "--model", "toy", "--field", "n=int", "--dead-letters", str(letters)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 4, found.output
    assert "950 written, 0 unchanged, 3 failed" in found.output
    reasons = sorted(json.loads(line)["reason"] for line in letters.read_text().splitlines())
    assert reasons == ["INVALID_POINT", "NO_INPUT", "REPEATED_ID"]
    again = CliRunner().invoke(app, [*command, "--json"])
    last = json.loads(again.stdout.splitlines()[-1])
    assert (last["event"], last["unchanged"], last["written"]) == ("summary", 950, 0)


def test_a_cluster_that_is_not_there(client: Client, tmp_path: Path) -> None:
    source = open_source(str(rows(tmp_path / "rows.jsonl", 950)))
    client.create_collection("nowhere", model="toy")
    nowhere, by_client = ClusterOptions("127.0.0.1:1"), ClusterOptions("ray://127.0.0.1:1")
    ray.shutdown()
    try:
        with pytest.raises(EngineError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
            run_ray_job(client.target, source, JobOptions("nowhere"), nowhere)
        with pytest.raises(EngineError, match="does not run through Ray Client"):
            run_ray_job(client.target, source, JobOptions("nowhere"), by_client)
    finally:
        ray.init("local", num_cpus=2, log_to_driver=False, logging_level="ERROR")


@pytest.mark.parametrize(("readers", "items"), [(1, 7), (2, 10), (3, 64), (5, 1000)])
def test_readers_share_a_source_without_rest(tmp_path: Path, readers: int, items: int) -> None:
    source = open_source(str(rows(tmp_path / "rows.jsonl", 950)))
    wanted = list(source)
    shares = [
        [one for part in parts(source, index, readers, items) for one in part]
        for index in range(readers)
    ]
    assert sorted(map(str, chain.from_iterable(shares))) == sorted(map(str, wanted))
    assert all(len(share) <= len(wanted) // readers + items for share in shares)


def test_images_in_memory_make_small_parcels(tmp_path: Path) -> None:
    """A part of large images is cut, so that no process holds more than some megabytes of them."""
    with tarfile.open(tmp_path / "large.tar", "w") as tar:
        for i in range(6):
            member = tarfile.TarInfo(f"{i}.jpg")
            member.size = PARCEL_BYTES // 2 - 100
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    source = open_source(str(tmp_path / "large.tar"))
    (task,) = RecordsDatasource(source, 1, 256).get_read_tasks(1)
    sizes = [len(parcel.records) for table in task() for parcel in unpack(table)]
    assert sizes == [2, 2, 2]
