"""Collections of Qdrant and Chroma as sources: what was put in comes out, and what is refused."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latentspace import Client
from latentspace.cli.indexed import NewCollection, ensure_collection
from latentspace.indexing.export_format import ExportSource
from latentspace.indexing.foreign import chroma, opening, qdrant
from latentspace.indexing.foreign.opening import is_foreign, open_foreign
from latentspace.indexing.job import run_job
from latentspace.indexing.options import JobOptions, SourceError
from latentspace.indexing.records import BadRecord, Record
from tests.client.indexing.foreign_world import (
    CHROMA_IDS,
    COUNT,
    DIM,
    METRICS,
    PACKAGES,
    QDRANT_IDS,
    ROWS,
    check_about,
    chroma_folder,
    payloads,
    put_chroma,
    put_qdrant,
    qdrant_client,
    qdrant_folder,
    records,
    refused,
    unit,
    values,
)


@pytest.mark.parametrize("metric", METRICS["qdrant"])
def test_qdrant_points(tmp_path: Path, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "PAGE_POINTS", 64)
    with qdrant_folder(tmp_path) as client:
        put_qdrant(client, "photos ü", METRICS["qdrant"][metric])
        assert "already accessed" in refused(f"qdrant+file:{tmp_path}/photos ü")
    source = open_foreign(f"qdrant+file:{tmp_path}/photos%20ü")
    check_about(source, metric)
    for _ in range(2):
        found = {one.id: one for one in records(source)}
        assert found.keys() == set(map(str, QDRANT_IDS))
        ordered = [found[str(id)] for id in QDRANT_IDS]
        assert [one.payload for one in ordered] == payloads()
        if metric == "cosine":  # whether local mode keeps lengths is its own affair
            np.testing.assert_allclose(unit(values(ordered)), unit(ROWS), atol=1e-6)
        else:
            np.testing.assert_array_equal(values(ordered), ROWS)
    assert found["1"].place == "qdrant photos ü/1"


def test_qdrant_vectors(tmp_path: Path) -> None:
    models = qdrant_client().models
    one = models.VectorParams(size=2, distance=models.Distance.DOT)
    comparator = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    many = one.model_copy(update={"multivector_config": comparator})
    manhattan = one.model_copy(update={"distance": models.Distance.MANHATTAN})
    sparse = {"words": models.SparseVectorParams()}
    with qdrant_folder(tmp_path) as client:
        both = {"left": one, "ri ght": one, "tokens": many}
        client.create_collection("both", vectors_config=both, sparse_vectors_config=sparse)
        vectors = {"left": [1.0, 2.0], "ri ght": [3.0, 4.0], "tokens": [[1.0, 1.0]]}
        client.upsert("both", [models.PointStruct(id=1, vector=vectors)])
        client.upsert("both", [models.PointStruct(id=2, vector={"left": [5.0, 6.0]})])
        named = {"only": one, "tokens": many}
        client.create_collection("named", vectors_config=named, sparse_vectors_config=sparse)
        client.upsert("named", [models.PointStruct(id=1, vector={"only": [7.0, 8.0]})])
        client.create_collection("tokens", vectors_config={"tokens": many})
        client.create_collection("blocks", vectors_config=manhattan)
    folder = f"qdrant+file:{tmp_path}"
    assert values(records(open_foreign(f"{folder}/named"))).tolist() == [[7, 8]]
    assert values(records(open_foreign(f"{folder}/both?vector=left"))).tolist() == [[1, 2], [5, 6]]
    there, lacking = open_foreign(f"{folder}/both?vector=ri%20ght")
    assert isinstance(there, Record)
    assert values([there]).tolist() == [[3, 4]]
    assert isinstance(lacking, BadRecord)
    assert (lacking.id, lacking.reason, lacking.place) == ("2", "NO_INPUT", "qdrant both/2")
    for source, problem in {
        "both": "?vector=NAME, one of 'left', 'ri ght'",
        "both?vector=up": "no vector 'up'; there are: 'left', 'ri ght'",
        "both?vector=words": "'words' is sparse",
        "both?vector=tokens": "'tokens' is a multi-vector",
        "tokens": "sparse or multi-vectors only",
        "blocks": "Manhattan",
        "nope": "no collection 'nope'; there are: blocks, both, named, tokens",
        "not/both": "is not a folder of Qdrant",
    }.items():
        assert problem in refused(f"{folder}/{source}")
    assert not (tmp_path / "not").exists()


def test_qdrant_payloads_that_are_not_json(tmp_path: Path) -> None:
    models = qdrant_client().models
    config = models.VectorParams(size=2, distance=models.Distance.DOT)
    odd = [{"a": float("nan")}, {"b": [float("inf")]}, None]
    points = [models.PointStruct(id=i, vector=[1, i], payload=p) for i, p in enumerate(odd)]
    with qdrant_folder(tmp_path) as client:
        client.create_collection("odd", vectors_config=config)
        client.upsert("odd", points)
    null, infinite, none = open_foreign(f"qdrant+file:{tmp_path}/odd")
    assert isinstance(null, Record)
    assert isinstance(none, Record)
    assert (null.payload, none.payload) == ({"a": None}, {})
    assert isinstance(infinite, BadRecord)
    assert (infinite.id, infinite.reason) == ("1", "BAD_PAYLOAD")


def check_chroma(source: ExportSource, metric: str) -> None:
    check_about(source, metric)
    for _ in range(2):
        found = {one.id: one for one in records(source)}
        ordered = [found[id] for id in CHROMA_IDS]
        # under cosine Chroma scales to unit length and back
        np.testing.assert_allclose(values(ordered), ROWS, rtol=1e-5 if metric == "cosine" else 0)
        assert [one.payload for one in ordered] == [
            {"i": i, "share": i / 8, "ok": i % 2 == 0, "tags": ["a"], "document": f"text é {i}\n"}
            for i in range(COUNT)
        ]
    assert ordered[0].place == f"chroma photos/{CHROMA_IDS[0]}"


@pytest.mark.parametrize("metric", METRICS["chroma"])
def test_chroma_points(tmp_path: Path, metric: str) -> None:
    with chroma_folder(tmp_path) as client:
        put_chroma(client, "photos", METRICS["chroma"][metric])
    check_chroma(open_foreign(f"chroma+file:{tmp_path}/photos"), metric)


def test_chroma_documents_and_ids(tmp_path: Path) -> None:
    metadata, row = {"document": 7, "uri": True}, [[1.0, 2.0]]
    with chroma_folder(tmp_path) as client:
        made = client.create_collection("some", embedding_function=None)
        made.add("no", embeddings=row)
        made.add("own", embeddings=row, metadatas=[metadata], documents=["text"], uris=["file:a"])
        made.add("uri", embeddings=row, uris=["file:a"], documents=[""])
        made.add("x" * 513, embeddings=row)
    *good, bad = open_foreign(f"chroma+file:{tmp_path}/some")
    assert [one.payload for one in good if isinstance(one, Record)] == [
        {},
        metadata | {"chroma:document": "text", "chroma:uri": "file:a"},
        {"document": "", "uri": "file:a"},
    ]
    assert isinstance(bad, BadRecord)
    assert (bad.reason, bad.id) == ("BAD_ID", "")


def test_chroma_that_cannot_be_opened(tmp_path: Path) -> None:
    with chroma_folder(tmp_path) as client:
        client.create_collection("never", embedding_function=None)
        emptied = client.create_collection("emptied", embedding_function=None)
        emptied.add("a", embeddings=[[1.0, 2.0]])
        emptied.delete("a")
    folder = f"chroma+file:{tmp_path}"
    assert "never had a point" in refused(f"{folder}/never")
    assert "no collection 'nope'; there are: emptied, never" in refused(f"{folder}/nope")
    assert "[team]" in refused(f"{folder}/never?tenant=team")
    source = open_foreign(f"{folder}/emptied?tenant=default_tenant&database=default_database")
    assert (source.dim, source.count(), list(source)) == (2, 0, [])
    assert "is not a folder of Chroma" in refused(f"{folder}/not/never")
    assert not (tmp_path / "not").exists()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "chroma.sqlite3").write_bytes(b"nothing" * 1000)
    assert "cannot be opened" in refused(f"{folder}/bad/never")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def chroma_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port, log = free_port(), folder / "server.log"
    command = [str(Path(sys.executable).parent / "chroma"), "run", "--path", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            pytest.skip(f"chroma run did not start: {log.read_text()[-300:]}")
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_chroma_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_API_KEY", "secret")
    monkeypatch.setenv("CHROMA_SERVER_HOST", "elsewhere")
    monkeypatch.setattr(chroma, "PAGE_TIMEOUT_S", 3)
    with chroma_folder(tmp_path) as client:
        put_chroma(client, "photos", "l2")
    with chroma_server(tmp_path) as (process, port):
        address = f"chroma+http://127.0.0.1:{port}"
        source = open_foreign(f"{address}/photos")
        check_chroma(source, "l2")
        assert "no collection 'nope'; there are: photos" in refused(f"{address}/nope")
        assert "[team]" in refused(f"{address}/photos?tenant=team")
        points, others = iter(source), iter(source)
        assert next(points).id == next(others).id
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(SourceError, match=r"broke off after 256 points \(timed out"):
            list(points)
        process.kill()
        process.wait()
        with pytest.raises(SourceError, match="broke off after 256 points"):
            list(others)
        with pytest.raises(SourceError, match="cannot be counted"):
            source.count()


@pytest.mark.parametrize("kind", METRICS)
def test_what_is_wrong_with_a_url(kind: str) -> None:
    for wrong, problem in {
        "+http://host/": "no collection",
        "+http:///name": "malformed",
        "+http://host/a/b": "malformed",
        "+http://host:many/a": "malformed",
        "+http://[host/a": "malformed",
        "+http://host/a#b": "%23",
        "+http://host/a?b=1": "unknown option b; one of ",
        "+https://host/a?b": "malformed",
        "+ftp://host/a": "malformed",
        "://host/a": "malformed",
        "+file:name": "malformed",
        "+file://folder/name": "malformed",
    }.items():
        assert is_foreign(kind + wrong)
        said = refused(kind + wrong)
        assert problem in said
        assert f"{kind}+http://HOST:" in said or problem != "malformed"
    for secret in ("+http://me:secret@host/a", "+http://me:sec/secret@host/a", "://secret@host"):
        said = refused(kind + secret)
        assert f"{kind.upper()}_API_KEY" in said
        assert "secret" not in said
    for path in ("photos", f"{kind}.csv", f"./{kind}:a", "C:\\photos", "-"):
        assert not is_foreign(path)


@pytest.mark.parametrize("kind", METRICS)
def test_servers_that_are_not_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(PACKAGES[kind], reason=f"{PACKAGES[kind]} is not installed")
    assert "cannot be reached" in refused(f"{kind}+http://127.0.0.1:{free_port()}/a")
    assert opening.HELLO_TIMEOUT_S <= 5
    monkeypatch.setattr(opening, "HELLO_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in refused(f"{kind}+http://127.0.0.1:{silent.getsockname()[1]}/a")


@pytest.mark.parametrize(("kind", "package"), PACKAGES.items())
def test_packages_that_are_missing(
    kind: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(f"{kind}+file:folder/name")
    assert f"pip install 'latentspace[{kind}]'" in said
    assert package in said


def test_packages_are_imported_late() -> None:
    script = (
        "import sys, latentspace.indexing.foreign.opening as opening;"
        "import latentspace.indexing.foreign.qdrant, latentspace.indexing.foreign.chroma;"
        "print(sorted({'qdrant_client', 'chromadb', 'httpx'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    local = pytest.importorskip("services.app.local", reason="the server is not installed")
    folder = tmp_path_factory.mktemp("foreign") / "data"
    with local.LocalServer(folder, {}) as running, Client(running.address) as made:
        yield made


def brute_force(queries: NDArray[np.float32], metric: str, k: int) -> NDArray[np.intp]:
    if metric == "l2":
        scores = -((queries[:, None] - ROWS) ** 2).sum(-1)
    else:
        scores = queries @ (unit(ROWS) if metric == "cosine" else ROWS).T
    found: NDArray[np.intp] = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return found


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("kind", METRICS)
def test_indexed_and_searched(client: Client, tmp_path: Path, kind: str, metric: str) -> None:
    folder, put = (qdrant_folder, put_qdrant) if kind == "qdrant" else (chroma_folder, put_chroma)
    ids = list(map(str, QDRANT_IDS)) if kind == "qdrant" else CHROMA_IDS
    with folder(tmp_path) as made:
        put(made, "photos", METRICS[kind][metric])
    name = f"{kind}-{metric}"
    source = open_foreign(f"{kind}+file:{tmp_path}/photos")
    found = ensure_collection(client, NewCollection(name), source)
    assert (found.metric, found.dim, found.model) == (metric, DIM, "")
    done = run_job(client, source, JobOptions(name))
    assert (done.total, done.written, done.failed, done.finished) == (COUNT, COUNT, 0, True)
    again = run_job(client, source, JobOptions(name))
    assert (again.unchanged, again.written) == (COUNT, 0)
    queries = np.random.default_rng(8).standard_normal((20, DIM)).astype(np.float32)
    result = client.search_batch(name, vectors=queries, k=10, params={"exact": True})
    expected = [[ids[i] for i in row] for row in brute_force(queries, metric, 10)]
    assert np.asarray(result.ids).tolist() == expected
    assert (client.get(name, ids=[ids[3]])[0].payload or {})["i"] == 3
