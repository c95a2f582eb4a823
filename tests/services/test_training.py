"""TrainModel through a real server: what it makes, and what happens when it is stopped."""

import json
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from embedders.formats import read_vocabulary
from latentspace import (
    AlreadyExistsError,
    CallCancelledError,
    Client,
    InvalidArgumentError,
    LatentspaceError,
    NotFoundError,
    PermissionDeniedError,
)
from latentspace.cli.app import app
from services.app.local import LocalServer
from tests.services.training_world import WORDS, children, corpus, serving, until

pytest.importorskip("gensim", reason="gensim is not installed")

TINY = {"dim": 8, "epochs": 3, "min_count": 1}
# Hours of training: it ends only by force.
ENDLESS = {"dim": 300, "epochs": 1000, "min_count": 1, "negative": 100}

World = tuple[LocalServer, Client, Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("training")
    with serving(folder) as (server, client):
        corpus(folder / "shared/corpus.txt")
        corpus(folder / "secret.txt")
        (folder / "shared/link.txt").symlink_to(folder / "secret.txt")
        (folder / "shared/inner.txt").symlink_to(folder / "shared/corpus.txt")
        yield server, client, folder


def left_over(folder: Path) -> list[Path]:
    return list((folder / "data/jobs").glob("*"))


def test_a_model_is_trained_kept_and_served(world: World) -> None:
    server, client, folder = world
    source = folder / "shared/corpus.txt"
    started = client.train("word2vec", source=source, model="tiny", params=TINY, load=True)
    seen = list(started.watch())
    ended = seen[-1]
    assert (ended.kind, ended.target, ended.state) == ("train", "tiny", "succeeded")
    assert {"read", "train"} <= {one.progress.stage for one in seen}
    assert max(one.progress.done for one in seen if one.progress.stage == "train") == 3
    losses = [one.progress.metrics.get("epoch_loss", 0) for one in seen if not one.ended]
    assert max(losses) > 0
    assert ended.result["model"] == "tiny"
    assert ended.result["loaded"] is True
    assert ended.result["metrics"]["vocabulary"] == len(WORDS)
    assert dict(ended.progress.metrics).items() >= ended.result["metrics"].items()
    path = Path(ended.result["path"])
    assert path == folder / "data/models/tiny"
    card = json.loads((path / "provenance.json").read_text())
    assert card["source_sha256"] == sha256(source.read_bytes()).hexdigest()
    assert (card["params"]["dim"], card["params"]["window"]) == (8, 5)
    assert card["params"]["threads"] == 1
    assert card["versions"]["latentspace-server"]
    model = client.model("tiny")
    assert (model.state, model.dim, model.revision) == ("ready", 8, card["revision"])
    vocabulary = read_vocabulary(path / card["file"])
    found = client.most_similar("tiny", "w1", topn=3)
    rows = vocabulary.vectors
    own = rows[vocabulary.position("w1")]
    for word, score in found:
        other = rows[vocabulary.position(word)]
        assert score == pytest.approx(
            float(own @ other / ((own @ own) * (other @ other)) ** 0.5), abs=1e-5
        )
    assert not children(server)
    assert left_over(folder) == []
    with pytest.raises(AlreadyExistsError, match="tiny"):
        client.train("word2vec", source=source, model="tiny", params=TINY)


def test_relative_sources_and_links_within_a_root(world: World) -> None:
    _, client, _ = world
    started = client.train("word2vec", source="inner.txt", params=TINY, wait=True)
    assert started.target.startswith("word2vec-")
    assert started.result["loaded"] is False
    assert client.model(started.target).state == "unloaded"
    assert client.load_model(started.target).dim == 8


def test_from_the_command_line(world: World) -> None:
    server, client, _ = world
    train = ["models", "train", "word2vec", "--source", "corpus.txt", "--server", server.address]
    params = [f"--param={name}={value}" for name, value in TINY.items()]
    done = CliRunner().invoke(app, [*train, *params, "--model", "said", "--load"])
    assert done.exit_code == 0, done.output
    assert "models/said" in done.output
    assert client.model("said").dim == 8
    started = CliRunner().invoke(app, [*train, *params, "--no-wait", "--json"])
    record = json.loads(started.stdout)
    assert client.operation(record["id"]).wait().result["model"] == record["target"]
    optimize = ["collections", "optimize", "written", "--json", "--server", server.address]
    client.create_collection("written", dim=2)
    client.upsert("written", ["a"], vectors=[[1.0, 2.0]])
    optimized = json.loads(CliRunner().invoke(app, optimize).stdout)
    assert (optimized["kind"], optimized["state"]) == ("optimize", "succeeded")
    for wrong, code in ((["--param", "dim"], 2), (["--param", "dims=5"], 1)):
        assert CliRunner().invoke(app, [*train, *wrong]).exit_code == code


@pytest.mark.parametrize(
    "source",
    ["{}/secret.txt", "../secret.txt", "{}/shared/../secret.txt", "link.txt", "/etc/passwd"],
)
def test_sources_outside_the_roots_are_refused(world: World, source: str) -> None:
    _, client, folder = world
    with pytest.raises(PermissionDeniedError, match="LATENTSPACE_ROOTS") as caught:
        client.train("word2vec", source=source.format(folder), model="never", params=TINY)
    assert caught.value.reason == "SOURCE_DENIED"
    # nothing tells whether it exists
    with pytest.raises(PermissionDeniedError):
        client.train("word2vec", source=f"{folder}/no-such-file", model="never")


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"params": {"dim": 0}}, "params.dim", "greater than or equal to 1"),
        ({"params": {"dims": 5}}, "params.dims", "options: .*dim"),
        ({"params": {"threads": 64}}, "params.threads", "at most 1"),
        ({"family": "hash"}, "family", "no trainer"),
        ({"model": "../up"}, "model", "not a name"),
        ({"source": "nowhere.txt"}, "source", "no file or folder"),
        ({"source": ""}, "source", "name a file"),
    ],
)
def test_what_does_not_fit_is_told_at_once(
    world: World, change: dict[str, object], field: str, said: str
) -> None:
    _, client, _ = world
    call = {"family": "word2vec", "source": "corpus.txt", "model": "never", **change}
    before = len(client.operations(kind="train"))
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        client.train(**call)  # type: ignore[arg-type]
    assert [one.field for one in caught.value.field_violations] == [field]
    assert len(client.operations(kind="train")) == before


def test_bad_data_fails_the_operation_with_its_reason(world: World) -> None:
    _, client, folder = world
    (folder / "shared/empty.txt").write_text("\n")
    with pytest.raises(LatentspaceError, match="no words"):
        client.train("word2vec", source="empty.txt", model="empty", wait=True)
    with pytest.raises(NotFoundError):
        client.model("empty")
    assert not (folder / "data/models/empty").exists()
    # the name is free again
    client.train("word2vec", source="corpus.txt", model="empty", params=TINY, wait=True)


def test_cancelling_ends_the_process_and_cleans_up(world: World) -> None:
    server, client, folder = world
    started = client.train("word2vec", source="corpus.txt", model="long", params=ENDLESS)
    until(lambda: started.refresh().progress.stage == "train")
    (child,) = children(server)
    assert child.nice() > psutil.Process(server.process.pid).nice()
    assert child.environ()["OMP_NUM_THREADS"] == "1"
    with pytest.raises(AlreadyExistsError, match="in training"):
        client.train("word2vec", source="corpus.txt", model="long", params=TINY)
    started.cancel()
    with pytest.raises(CallCancelledError):
        started.wait()
    assert not child.is_running()
    assert left_over(folder) == []
    assert not (folder / "data/models/long").exists()


def test_a_killed_process_is_told(world: World) -> None:
    server, client, folder = world
    started = client.train("word2vec", source="corpus.txt", model="killed", params=ENDLESS)
    until(lambda: started.refresh().progress.stage == "train")
    (child,) = children(server)
    child.send_signal(signal.SIGKILL)
    with pytest.raises(LatentspaceError, match=r"SIGKILL.*memory"):
        started.wait()
    assert started.refresh().state == "failed"
    assert left_over(folder) == []
    assert client.models()


def test_waiting_work_is_cancelled_at_once(world: World) -> None:
    server, client, _ = world
    started = [
        client.train("word2vec", source="corpus.txt", model=f"many{i}", params=ENDLESS)
        for i in range(3)
    ]
    until(lambda: len(children(server)) == 2)
    assert started[2].cancel().state == "cancelled"
    # short work does not wait for long work
    client.create_collection("short", dim=2)
    assert client.optimize("short").state == "succeeded"
    for one in started[:2]:
        one.cancel()
        with pytest.raises(CallCancelledError):
            one.wait()
    assert not children(server)


def test_no_roots_no_training(tmp_path: Path) -> None:
    path = corpus(tmp_path / "c.txt")
    settings = {"models": {"toy": {"family": "hash"}}}
    with (
        LocalServer(tmp_path / "data", settings) as server,
        Client(server.address) as client,
        pytest.raises(PermissionDeniedError, match=r"of no folder.*roots"),
    ):
        client.train("word2vec", source=path, model="m")


def test_a_restart_knows_its_models_and_what_was_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, client):
        corpus(tmp_path / "shared/c.txt")
        client.train("word2vec", source="c.txt", model="kept", params=TINY, load=True, wait=True)
        client.train("word2vec", source="c.txt", model="idle", params=TINY, wait=True)
        client.train("word2vec", source="c.txt", model="lost", params=TINY, wait=True)
        before = client.embed("kept", keys=WORDS)
        cut = client.train("word2vec", source="c.txt", model="cut", params=ENDLESS)
        until(lambda: cut.refresh().progress.stage == "train")
        (child,) = children(server)
        server.kill()
        # an orphan has nobody to work for
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    # data folders are moved now and then
    (tmp_path / "data").rename(tmp_path / "moved")
    for file in (tmp_path / "moved/models/lost").glob("*"):
        file.unlink()
    assert left_over(tmp_path) == []
    assert list((tmp_path / "moved/jobs").glob("*"))
    with serving(tmp_path, "moved") as (server, client):
        states = {model.id: str(model.state) for model in client.models()}
        assert states == {
            "kept": "ready",
            "idle": "unloaded",
            "toy": "ready",
            "later": "unloaded",
        }
        assert (client.embed("kept", keys=WORDS) == before).all()
        assert client.load_model("idle").state == "ready"
        failed = client.operation(cut.id)
        assert failed.state == "failed"
        assert "server stopped" in str(failed.error)
        assert not list((tmp_path / "moved/jobs").glob("*"))
        # a draining server stops its jobs, and tells so afterwards
        again = client.train("word2vec", source="c.txt", model="cut", params=ENDLESS)
        until(lambda: again.refresh().progress.stage == "train")
        assert server.stop() == 0
    broken = tmp_path / "moved/models/kept/model.safetensors"
    broken.write_bytes(b"damaged")
    with serving(tmp_path, "moved") as (_, client):
        assert client.operation(again.id).state == "failed"
        # a trained model that cannot be loaded keeps no server from starting
        assert client.model("kept").state == "failed"
