"""Evaluate through a real server: figures, refusals, and a model that goes away."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from scipy.stats import spearmanr

from latentspace import (
    CallCancelledError,
    Client,
    EvaluationReport,
    FailedPreconditionError,
    InvalidArgumentError,
    LatentspaceError,
    NotFoundError,
    PermissionDeniedError,
    Task,
)
from services.app.local import LocalServer
from tests.services.training_world import children, until

World = tuple[LocalServer, Client, Path]

WORDS = ["king", "queen", "man", "woman", "rome", "italy", "oslo", "norway", "Apple", "apple"]


@pytest.fixture(scope="module")
def theirs() -> KeyedVectors:
    vectors = KeyedVectors(6, count=0)
    rows = np.random.default_rng(2).standard_normal((len(WORDS), 6))
    vectors.add_vectors(WORDS, rows.astype(np.float32))
    return vectors


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, theirs: KeyedVectors) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("evaluation")
    (folder / "shared").mkdir()
    theirs.save_word2vec_format(str(folder / "words.bin"), binary=True)
    settings = {
        "models": {
            "words": {"family": "word2vec", "source": str(folder / "words.bin")},
            "toy": {"family": "hash", "options": {"dim": 16}},
            "later": {"family": "hash", "preload": False},
        },
        "roots": [str(folder / "shared")],
        # a small queue: an evaluation must wait for its turn, and not fail
        "limits": {"batch_items": 8, "queue_cost": 200},
    }
    with LocalServer(folder / "data", settings) as server, Client(server.address) as client:
        yield server, client, folder / "shared"


def test_analogies_are_gensims(world: World, theirs: KeyedVectors) -> None:
    _, client, folder = world
    path = folder / "questions.txt"
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, 4)) for _ in range(300)]
    path.write_text("\n".join([": gram1", *lines[:150], ": capitals", *lines[150:], "a b c d"]))
    report = client.evaluate("words", "analogies", source=path)
    score, sections = theirs.evaluate_word_analogies(str(path))
    assert report["accuracy"].value == pytest.approx(score)
    for section in sections[:-1]:
        right = len(section["correct"])
        asked = right + len(section["incorrect"])
        figure = report[f"accuracy/{section['section']}"]
        assert figure.value == pytest.approx(right / asked)
        assert figure.items == asked
        assert figure.low <= figure.value <= figure.high
    assert (report.model, report.task) == ("words", Task.ANALOGIES)
    assert report.coverage == pytest.approx(300 / 301)
    assert report.space_id == client.model("words").space_id


def test_sts_goes_through_the_queue_of_the_model(world: World) -> None:
    _, client, folder = world
    rng = np.random.default_rng(1)
    some = [f"v{i}" for i in range(40)]
    pairs = [(" ".join(rng.choice(some, 5)), " ".join(rng.choice(some, 5))) for _ in range(500)]
    gold = rng.uniform(0, 5, 500).round(1)
    (folder / "s.tsv").write_text(
        "\n".join(f"{g}\t{a}\t{b}" for (a, b), g in zip(pairs, gold, strict=True))
    )
    started = client.start_evaluation("toy", "sts", source="s.tsv", params={"columns": [1, 2, 3]})
    seen = list(started.watch())
    assert {"sentences"} <= {one.progress.stage for one in seen}
    report = EvaluationReport.from_result(seen[-1].result)
    left, right = (client.embed("toy", texts=list(side)) for side in zip(*pairs, strict=True))
    expected = spearmanr(gold, np.einsum("ij,ij->i", left, right)).statistic
    assert report["spearman"].value == pytest.approx(expected, abs=1e-6)
    assert seen[-1].result["provenance"]["params"]["columns"] == [1, 2, 3]
    assert len(seen[-1].result["provenance"]["source_sha256"]) == 64


def test_images_cross_the_pipe_whole(world: World) -> None:
    _, client, folder = world
    for i in range(30):
        (folder / f"photos/l{i % 3}").mkdir(parents=True, exist_ok=True)
        # not text, and of all byte values
        (folder / f"photos/l{i % 3}/{i}.jpg").write_bytes(bytes(range(256)) * (i + 1))
    (folder / "photos/l0/word.jpg").write_bytes(b"l0")
    params = {"templates": ["{}"], "top": [1, 3]}
    report = client.evaluate("toy", "zero_shot", source="photos", params=params)
    assert report["accuracy@3"].value == 1.0
    assert report["accuracy@1"].items == 31
    assert report["accuracy@1"].value >= 1 / 31


def test_an_empty_item_lowers_the_coverage(world: World) -> None:
    _, client, folder = world
    (folder / "some.tsv").write_text("1\ta\tb\n2\ta b\ta c\n3\ta\t \n4\ta\ta\n")
    report = client.evaluate("toy", "sts", source="some.tsv", params={"columns": [1, 2, 3]})
    assert (report.coverage, report["spearman"].items) == (0.75, 3)


@pytest.mark.parametrize(
    ("model", "task", "options", "error", "said"),
    [
        ("words", "analogies", {"params": {"limit": -3}}, InvalidArgumentError, "limit"),
        ("words", "analogies", {"params": {"limits": 3}}, InvalidArgumentError, "limits"),
        ("toy", "sts", {}, InvalidArgumentError, "no built-in test set"),
        ("toy", "sts", {"source": "none.csv"}, InvalidArgumentError, "no file or folder"),
        ("toy", "sts", {"source": "/etc/passwd"}, PermissionDeniedError, "LATENTSPACE_ROOTS"),
        ("toy", "sts", {"source": "../words.bin"}, PermissionDeniedError, "LATENTSPACE_ROOTS"),
        ("nobody", "analogies", {}, NotFoundError, "nobody"),
        ("later", "analogies", {}, FailedPreconditionError, "unloaded"),
        ("toy", "magic", {}, InvalidArgumentError, "one of"),
    ],
)
def test_what_does_not_fit_is_told_at_once(
    world: World,
    model: str,
    task: str,
    options: dict[str, object],
    error: type[LatentspaceError],
    said: str,
) -> None:
    _, client, _ = world
    before = len(client.operations(kind="evaluate", limit=1000))
    with pytest.raises(error, match=said) as caught:
        client.evaluate(model, task, **options)  # type: ignore[arg-type]
    if "params" in options:
        assert caught.value.field_violations[0].field.startswith("params.limit")
    assert len(client.operations(kind="evaluate", limit=1000)) == before


def test_a_model_of_the_wrong_kind_fails_the_operation(world: World) -> None:
    _, client, folder = world
    (folder / "ok.tsv").write_text("1\ta\tb\n")
    with pytest.raises(LatentspaceError, match="needs a model of texts"):
        client.evaluate("words", "sts", source="ok.tsv")
    with pytest.raises(LatentspaceError, match="line 1 has 3 columns"):
        client.evaluate("toy", "sts", source="ok.tsv")
    params = {"columns": [1, 2, 3], "role": "nonsense"}
    with pytest.raises(LatentspaceError, match="role"):
        client.evaluate("toy", "sts", source="ok.tsv", params=params)


def big(folder: Path) -> None:
    (folder / "big/qrels").mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"_id": f"d{i}", "text": f"a b{i} " * 40}) for i in range(40_000))
    (folder / "big/corpus.jsonl").write_text("\n".join(lines))
    (folder / "big/queries.jsonl").write_text(json.dumps({"_id": "q", "text": "b7"}))
    (folder / "big/qrels/test.tsv").write_text("q\td7\t1\n")


def test_cancelled_midway_and_a_model_that_goes_away(world: World) -> None:
    server, client, folder = world
    big(folder)
    started = client.start_evaluation("toy", "retrieval", source="big")
    until(lambda: started.refresh().progress.stage == "corpus")
    started.cancel()
    with pytest.raises(CallCancelledError):
        started.wait()
    assert not children(server)
    again = client.start_evaluation("toy", "retrieval", source="big")
    until(lambda: again.refresh().progress.stage == "corpus")
    client.unload_model("toy")
    with pytest.raises(LatentspaceError, match="'toy' is unloaded"):
        again.wait()
    client.load_model("toy")
    assert client.embed("toy", text="still here").shape == (16,)
