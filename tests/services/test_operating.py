"""A running server operated from the prompt: snapshots, aliases, points, models, health."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latentspace import Client, NotFoundError
from latentspace.cli.app import app
from services.app.local import LocalServer
from tests.services.training_world import corpus

DIM = 8
NUMBERS = np.random.default_rng(5).standard_normal((300, DIM))
ROWS = (NUMBERS / np.linalg.norm(NUMBERS, axis=1, keepdims=True)).astype(np.float32)
IDS = [f"p{i}" for i in range(len(ROWS))]
WORDS = {"king": [0.5, 1.0, 0.0], "queen": [0.4, 1.0, 0.3], "man": [0.9, 0.1, 0.0]}

Run = Callable[..., Any]


def glove(path: Path) -> Path:
    """A GloVe file: a word and its numbers a line."""
    path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in WORDS.items()))
    return path


def settings(folder: Path) -> dict[str, Any]:
    return {"models": {"toy": {"family": "hash"}}, "roots": [str(folder / "root")]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operating")
    (folder / "root").mkdir()
    glove(folder / "root" / "glove.txt")
    glove(folder / "outside.txt")
    corpus(folder / "root" / "corpus.txt")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LocalServer]:
    with LocalServer(folder / "data", settings(folder)) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


@pytest.fixture
def run(server: LocalServer) -> Run:
    def call(*arguments: str, code: int = 0) -> Any:
        env = {"LATENTSPACE_SERVER": server.address}
        done = CliRunner().invoke(app, arguments, env=env, prog_name="latentspace")
        assert done.exit_code == code, done.output + done.stderr
        return done

    return call


@pytest.fixture
def photos(client: Client) -> Iterator[str]:
    client.create_collection("photos", dim=DIM, recipe="exact")
    client.upsert("photos", IDS, vectors=ROWS, payloads=[{"year": i} for i in range(len(IDS))])
    yield "photos"
    client.delete_collection("photos")


def test_snapshots(run: Run, client: Client, photos: str) -> None:
    made = json.loads(run("snapshots", "create", photos, "--name", "one", "--json").stdout)
    assert made["result"]["points"] == len(IDS)
    run("points", "delete", photos, "p0", "--yes")
    shown = json.loads(run("snapshots", "list", photos, "--json").stdout)
    assert (shown["name"], shown["points"], shown["collection"]) == ("one", len(IDS), photos)
    run("snapshots", "restore", "one", "again")
    assert client.count("again") == len(IDS)
    restored = client.get("again", "p0", with_vectors=True)[0].vector
    assert restored is not None
    np.testing.assert_allclose(restored, ROWS[0], rtol=1e-6)
    client.delete_collection("again")
    assert "no snapshot of 'photso'; of: photos" in run("snapshots", "list", "photso").stderr
    assert "pass --yes" in run("snapshots", "delete", "one", code=2).stderr
    deleted = json.loads(run("snapshots", "delete", "one", "--yes", "--json").stdout)
    assert deleted == {"deleted": "one", "bytes_freed": shown["bytes"]}
    assert run("snapshots").stdout == ""
    assert "there is no snapshot 'one'" in run("snapshots", "delete", "one", "-y", code=1).stderr
    with pytest.raises(NotFoundError):
        client.delete_snapshot("one")


def test_the_archive_is_gone(
    server: LocalServer, client: Client, folder: Path, photos: str
) -> None:
    client.snapshot(photos, "brief")
    left = folder / "data" / "snapshots"
    size = (left / "brief.tar").stat().st_size
    assert client.delete_snapshot("brief") == size
    assert list(left.iterdir()) == []


def test_aliases(run: Run, client: Client, photos: str) -> None:
    assert run("alias", "set", "current", photos).stdout == f"current stands for {photos}\n"
    assert run("alias").stdout == f"current\t{photos}\n"
    assert client.count("current") == len(IDS)
    assert run("alias", "delete", "current").stdout == "deleted current\n"
    run("alias", "delete", "current", code=1)


def test_collections_are_changed_and_measured(run: Run, client: Client, photos: str) -> None:
    run("collections", "update", photos, "--field", "year=int")
    assert run("collections", "fields", photos).stdout == "year\tint\n"
    assert client.count(photos, filter={"year": {"lt": 10}}) == 10
    told = run("collections", "update", photos, "--recipe", "hnsw", "--ef", "64").stdout
    assert told == "updated photos: hnsw; year=int\n"
    changed = client.collection(photos)
    assert (changed.recipe, changed.search) == ("hnsw", {"ef": 64})
    measured = json.loads(run("collections", "recall", photos, "--samples", "50", "--json").stdout)
    assert 0.9 <= measured["low"] <= measured["recall"] <= measured["high"] <= 1.0
    assert "nothing to change" in run("collections", "update", photos, code=2).stderr


def test_points_are_deleted(run: Run, client: Client, photos: str) -> None:
    run("collections", "update", photos, "--field", "year=int")
    by_filter = ["points", "delete", photos, "--filter", '{"year": {"gte": 290}}']
    refused = run(*by_filter, code=2)
    assert "Delete 10 points of photos?" in refused.stderr
    assert client.count(photos) == 300
    assert run(*by_filter, "--yes").stdout == "deleted 10 points of photos\n"
    told = run("points", "delete", photos, "p1", "p2", "nope", "--yes").stdout
    assert told == "deleted 2 of 3 points of photos\n"
    assert run("points", "count", photos).stdout == "288\n"
    assert "one of them" in run("points", "delete", photos, "--yes", code=2).stderr
    assert "one of them" in run(*by_filter, "p4", "--yes", code=2).stderr


def test_a_model_is_added_used_and_deleted(run: Run, client: Client, folder: Path) -> None:
    added = run("models", "add", "glove", "--family", "word2vec", "--source", "glove.txt")
    assert added.stdout == "added glove: word2vec, ready\n"
    row = client.embed("glove", keys=["queen"])[0]
    np.testing.assert_allclose(row, WORDS["queen"], rtol=1e-6)
    model = client.model("glove")
    assert (model.origin, model.source) == ("added", str(folder / "root" / "glove.txt"))
    again = run("models", "add", "glove", "--family", "word2vec", "--source", "glove.txt", code=1)
    assert "there is a model 'glove' already" in again.stderr
    client.create_collection("stories", model="glove")
    used = run("models", "delete", "glove", "--yes", code=1)
    assert "in use by collection stories" in used.stderr
    run("models", "delete", "glove", "--yes", "--force")
    with pytest.raises(NotFoundError):
        client.model("glove")
    assert client.collection("stories").model == "glove"
    client.delete_collection("stories")


def test_a_model_without_loading(run: Run, client: Client) -> None:
    run("models", "add", "later", "--family", "hash", "--option", "dim=12", "--no-load")
    assert client.model("later").state == "unloaded"
    assert client.load_model("later").dim == 12
    run("models", "delete", "later", "--yes")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--family", "word2vec", "--source", "{folder}/outside.txt"], "the server reads files"),
        (["--family", "word2vec", "--source", "../outside.txt"], "the server reads files"),
        (["--family", "word2vec", "--source", "word2vec-google-news-300"], "no file or folder"),
        (["--family", "face", "--option", "detector=/etc/passwd"], "the server reads files"),
        (["--family", "node2vec", "--option", "edges=/etc/passwd"], "the server reads files"),
        (["--family", "word2vc"], "one of: averaged"),
        (["--family", "hash", "--option", "dims=12"], "dims: unexpected"),
        (["--family", "hash", "--option", "dim=twelve"], "dim: input should be"),
        (["--family", "word2vec", "--source", "corpus.txt"], "corpus.txt"),
    ],
)
def test_what_cannot_be_added(
    run: Run, client: Client, folder: Path, arguments: list[str], problem: str
) -> None:
    given = [argument.format(folder=folder) for argument in arguments]
    refused = run("models", "add", "wrong", *given, code=1)
    assert problem in refused.stderr.lower() or problem in refused.stderr
    assert [model.id for model in client.models()] == ["toy"]


def test_configured_models_stay(run: Run) -> None:
    done = run("models", "delete", "toy", "--yes", code=1)
    assert "stands in the server's settings" in done.stderr


def test_a_trained_model_goes_with_its_files(run: Run, client: Client, folder: Path) -> None:
    params = {"dim": 8, "epochs": 1, "min_count": 1}
    client.train("word2vec", source="corpus.txt", model="mine", params=params, load=True).wait()
    files = folder / "data" / "models" / "mine"
    assert files.is_dir()
    assert client.model("mine").origin == "trained"
    run("models", "delete", "mine", "--yes")
    assert not files.exists()
    run("models", "add", "mine", "--family", "hash")
    run("models", "delete", "mine", "--yes")


def test_added_models_are_there_after_a_restart(folder: Path) -> None:
    data = folder / "restarted"
    with LocalServer(data, settings(folder)) as server, Client(server.address) as client:
        client.add_model("kept", family="word2vec", source="glove.txt", options={"limit": 2})
        client.add_model("gone", family="hash")
        client.delete_model("gone")
    with LocalServer(data, settings(folder)) as server, Client(server.address) as client:
        assert [model.id for model in client.models()] == ["kept", "toy"]
        assert client.model("kept").vocabulary_size == 2
    # roots that no longer allow its file leave it out, and say so
    narrowed = {**settings(folder), "roots": []}
    with LocalServer(data, narrowed) as server, Client(server.address) as client:
        assert [model.id for model in client.models()] == ["toy"]
        assert any("an added model is left out" in line for line in server.log)


def test_health(run: Run, client: Client) -> None:
    rows = [json.loads(line) for line in run("health", "--json").stdout.splitlines()]
    assert rows[0] == {"name": "server", "status": "serving", "reason": ""}
    assert {"name": "model toy", "status": "serving", "reason": ""} in rows
    run("models", "add", "idle", "--family", "hash", "--no-load")
    ill = run("health", "idle", "--json", code=1)
    assert json.loads(ill.stdout)["reason"] == "unloaded"
    run("health")
    run("models", "delete", "idle", "--yes")
    assert json.loads(run("health", "SearchService", "--json").stdout)["status"] == "serving"
    assert "no model 'nobody'" in run("health", "nobody", code=1).stderr
    assert run("health", "NoSuchService", code=1).stdout == ""
    away = CliRunner().invoke(app, ["health", "--server", "127.0.0.1:1"])
    assert away.exit_code == 3
