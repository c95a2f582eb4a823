"""Both clients and the command line against the server itself."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latentspace import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PartialError,
    PermissionDeniedError,
    key,
)
from latentspace.cli.app import app
from tests.client.fake.world import PLAIN_WORDS

local = pytest.importorskip("services.app.local", reason="the server is not installed")
models = pytest.importorskip("gensim.models", reason="gensim is not installed")

DIM = 12
WORDS = [*PLAIN_WORDS, *(f"w{i}" for i in range(400))]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A vocabulary as gensim holds it."""
    vectors = models.KeyedVectors(DIM)
    rng = np.random.default_rng(11)
    vectors.add_vectors(WORDS, rng.standard_normal((len(WORDS), DIM)).astype(np.float32))
    return vectors


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, theirs: Any) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("real")
    theirs.save_word2vec_format(str(folder / "words.bin"), binary=True)
    settings = {
        "models": {
            "words": {"family": "word2vec", "source": str(folder / "words.bin")},
            "toy": {"family": "hash", "options": {"dim": DIM}},
            "later": {"family": "hash", "preload": False},
        }
    }
    with local.LocalServer(folder / "data", settings) as running:
        yield running.address


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """A collection of 2,500 points, more than one part of a write."""
    client.create_collection("raw", dim=DIM, fields={"year": "int", "tag": "keyword"})
    yield "raw"
    client.delete_collection("raw")


COUNT = 2500
ROWS = np.random.default_rng(3).standard_normal((COUNT, DIM)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
IDS = [f"p{i}" for i in range(COUNT)]


def fill(client: Client, name: str) -> None:
    payloads = [{"year": 1990 + i % 30, "tag": "odd" if i % 2 else "even"} for i in range(COUNT)]
    assert client.upsert(name, IDS, vectors=ROWS, payloads=payloads).written == COUNT


def test_models(client: Client) -> None:
    states = {model.id: str(model.state) for model in client.models()}
    assert states == {"words": "ready", "toy": "ready", "later": "unloaded"}
    assert client.load_model("later").state == "ready"
    assert client.unload_model("later").state == "unloaded"
    assert client.model("words").vocabulary_size == len(WORDS)


def test_embed(client: Client, theirs: Any) -> None:
    rows = client.embed("words", keys=WORDS)
    expected = theirs.get_normed_vectors()
    np.testing.assert_allclose(rows / np.linalg.norm(rows, axis=1)[:, None], expected, atol=1e-6)
    texts = [f"text {i}" for i in range(600)]
    many = client.embed("toy", texts=texts)
    one_by_one = np.array([client.embed("toy", text=text) for text in texts[:5]])
    np.testing.assert_array_equal(many[:5], one_by_one)
    with pytest.raises(NotFoundError, match="queen"):
        client.embed("words", key="qween")
    with pytest.raises(PartialError) as caught:
        client.embed("words", keys=["king", "qween", "rome"])
    assert list(caught.value.errors) == [1]
    vectors = caught.value.vectors
    assert vectors is not None
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True, False]


def test_points(client: Client, name: str) -> None:
    fill(client, name)
    assert client.count(name) == COUNT
    assert client.count(name, filter={"tag": "odd", "year": {"gte": 2010}}) == sum(
        1 for i in range(COUNT) if i % 2 and 1990 + i % 30 >= 2010
    )
    points = client.get(name, IDS[::-1], with_vectors=True)
    assert [point.id for point in points] == IDS[::-1]
    stored = np.array([point.vector for point in points])
    np.testing.assert_allclose(stored, UNIT[::-1], atol=1e-6)
    assert {point.id for point in client.scroll(name)} == set(IDS)
    assert client.update_payload(name, ids="p1", payload={"new": 1}) == 1
    assert client.get(name, "p1")[0].payload == {"year": 1991, "tag": "odd", "new": 1}
    assert client.delete(name, filter={"tag": "odd"}) == COUNT // 2
    assert client.delete(name, [*IDS[:10], "no such"]) == 5
    with pytest.raises(PartialError) as caught:
        client.get(name, ["p10", "p11"])
    assert list(caught.value.errors) == [1]


def test_search(client: Client, name: str) -> None:
    fill(client, name)
    queries = np.random.default_rng(4).standard_normal((1500, DIM)).astype(np.float32)
    result = client.search_batch(name, vectors=queries, k=5, params={"exact": True})
    scores = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ UNIT.T
    best = -np.sort(-scores, axis=1)[:, :5]
    np.testing.assert_allclose(result.scores, best, atol=1e-5)
    assert result.ids[:, 0].tolist() == [IDS[i] for i in scores.argmax(axis=1)]
    odd = client.search(name, vector=queries[0], k=5, filter={"tag": "odd"}, with_vectors=True)
    order = [i for i in np.argsort(-scores[0]) if i % 2][:5]
    assert [match.id for match in odd] == [IDS[i] for i in order]
    assert odd[0].payload is not None
    assert odd[0].payload["tag"] == "odd"
    assert odd[0].vector is not None
    np.testing.assert_allclose(odd[0].vector, UNIT[order[0]], atol=1e-6)
    short = client.search_batch(name, vectors=queries[:2], k=5, filter={"year": 3})
    assert short.counts.tolist() == [0, 0]


def test_sums_of_inputs(client: Client, theirs: Any) -> None:
    found = client.search("words", query=[(1.0, key("king")), (-0.5, key("man"))], k=400)
    unit = theirs.get_normed_vectors()
    total = unit[WORDS.index("king")] - 0.5 * unit[WORDS.index("man")]
    scores = dict(zip(WORDS, unit @ (total / np.linalg.norm(total)), strict=True))
    np.testing.assert_allclose([m.score for m in found], [scores[m.id] for m in found], atol=1e-5)
    assert [m.id for m in found] == sorted((m.id for m in found), key=lambda word: -scores[word])


QUESTIONS: list[tuple[Any, Any]] = [
    ("king", None),
    (["king", "woman"], ["man"]),
    ([("king", 2.0), "woman"], [("man", -0.5)]),
    ([np.linspace(-1, 2, DIM, dtype=np.float32), "king"], ["w3"]),
    (None, ["king"]),
]


@pytest.mark.parametrize(("positive", "negative"), QUESTIONS)
def test_most_similar(client: Client, theirs: Any, positive: Any, negative: Any) -> None:
    ours = client.most_similar("words", positive, negative, topn=10)
    expected = theirs.most_similar(positive, negative, topn=10)
    assert [word for word, _ in ours] == [word for word, _ in expected]
    np.testing.assert_allclose([s for _, s in ours], [s for _, s in expected], atol=1e-5)


def test_other_questions_of_gensim(client: Client, theirs: Any) -> None:
    ours = client.most_similar_cosmul("words", ["king", "woman"], ["man"], topn=10)
    with pytest.deprecated_call():
        expected = theirs.most_similar_cosmul(["king", "woman"], ["man"], topn=10)
    assert [word for word, _ in ours] == [word for word, _ in expected]
    for a, b in zip(WORDS[:8], WORDS[300:], strict=False):
        assert client.rank("words", a, b) == theirs.rank(a, b)
        assert client.similarity("words", a, b) == pytest.approx(theirs.similarity(a, b), abs=1e-6)
    some = WORDS[5:10]
    assert client.doesnt_match("words", some) == theirs.doesnt_match(some)


def test_what_is_refused(client: Client, name: str) -> None:
    with pytest.raises(AlreadyExistsError):
        client.create_collection(name, dim=3)
    with pytest.raises(NotFoundError, match="nope"):
        client.search("nope", vector=[1.0])
    with pytest.raises(InvalidArgumentError, match=str(DIM)):
        client.search(name, vector=[1.0, 2.0])
    with pytest.raises(InvalidArgumentError):
        client.upsert(name, ["a"], vectors=[[np.nan] * DIM])
    with pytest.raises(InvalidArgumentError):
        client.count(name, filter={"undeclared": 3})
    with pytest.raises(FailedPreconditionError):
        client.upsert("words", ["a"], vectors=np.ones((1, DIM)))
    with pytest.raises(FailedPreconditionError):
        client.search("words", vector=np.ones(DIM), space_id="another")
    with pytest.raises(PermissionDeniedError, match="LATENTSPACE_ROOTS"):
        client.train("word2vec", source="/etc/passwd", model="m")


def test_operations(client: Client, name: str) -> None:
    fill(client, name)
    assert client.optimize(name).state == "succeeded"
    assert client.measure_recall(name, k=5, samples=20).recall == pytest.approx(1.0)


def test_aliases(client: Client, name: str) -> None:
    assert client.set_alias("current", name) == ""
    assert client.collection("current").name == name
    client.delete_alias("current")


async def test_many_at_once(address: str, theirs: Any) -> None:
    async with AsyncClient(address) as client:
        asked = [client.search("words", key=word, k=3) for word in WORDS]
        answers = await asyncio.gather(*asked)
    for word, found in zip(WORDS, answers, strict=True):
        expected = [one for one, _ in theirs.most_similar(word, topn=3)]
        assert [match.id for match in found if match.id != word][:2] == expected[:2]


def test_command_line(address: str, theirs: Any) -> None:
    call = ["--server", address, "analogy", "words", "king", "woman", "--minus", "man", "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    expected = [word for word, _ in theirs.most_similar(["king", "woman"], ["man"])]
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == expected
