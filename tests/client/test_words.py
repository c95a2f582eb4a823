"""The calls that behave as gensim's, beside gensim on the same vectors."""

from typing import Any

import numpy as np
import pytest

from latentspace import Client, InvalidArgumentError, NotFoundError
from tests.client.fake.world import WORDS, WORDS_DIM, words_matrix

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`")
models = pytest.importorskip("gensim.models", reason="gensim is not installed")

KEYS = WORDS[:40]


@pytest.fixture(scope="module")
def theirs() -> Any:
    vectors = models.KeyedVectors(WORDS_DIM)
    vectors.add_vectors(WORDS, words_matrix())
    return vectors


def same(ours: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> None:
    assert [key for key, _ in ours] == [key for key, _ in theirs]
    np.testing.assert_allclose([s for _, s in ours], [s for _, s in theirs], rtol=2e-5, atol=1e-6)


VECTOR = np.linspace(-1, 2, WORDS_DIM, dtype=np.float32)

QUESTIONS: list[tuple[Any, Any]] = [
    ("king", None),
    (["king"], []),
    (["king", "woman"], ["man"]),
    (["king", "woman"], "man"),
    ([("king", 2.0), "woman"], [("man", -0.5)]),
    ([("king", 1.0), ("woman", -0.7)], None),
    (["king"], [("man", 1.5)]),
    (VECTOR, None),
    ([VECTOR, "king"], ["w3"]),
    ([(VECTOR, 0.5), "king"], None),
    (None, ["king"]),
]


@pytest.mark.parametrize(("positive", "negative"), QUESTIONS)
def test_most_similar(client: Client, theirs: Any, positive: Any, negative: Any) -> None:
    for topn in (1, 10):
        ours = client.most_similar("words", positive, negative, topn=topn)
        same(ours, theirs.most_similar(positive, negative, topn=topn))


def test_most_similar_of_the_first_keys(client: Client, theirs: Any) -> None:
    ours = client.most_similar("words", ["king"], topn=5, restrict_vocab=30)
    same(ours, theirs.most_similar(["king"], topn=5, restrict_vocab=30))


@pytest.mark.parametrize(
    ("positive", "negative"), [(["king", "woman"], ["man"]), (["rome"], []), ("w1", None)]
)
def test_most_similar_cosmul(client: Client, theirs: Any, positive: Any, negative: Any) -> None:
    ours = client.most_similar_cosmul("words", positive, negative, topn=10)
    same(ours, theirs.most_similar_cosmul(positive, negative, topn=10))


def test_weights_are_not_passed_over(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match="weights are for"):
        client.most_similar_cosmul("words", [("king", 2.0)])


def test_similarity(client: Client, theirs: Any) -> None:
    for a, b in zip(KEYS, reversed(KEYS), strict=True):
        assert client.similarity("words", a, b) == pytest.approx(theirs.similarity(a, b), abs=1e-6)


def test_doesnt_match(client: Client, theirs: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(25):
        keys = rng.choice(KEYS, rng.integers(3, 7), replace=False).tolist()  # two are a tie
        assert client.doesnt_match("words", keys) == theirs.doesnt_match(keys)
    mixed = ["king", "no such word", "rome", "w5"]
    assert client.doesnt_match("words", mixed) == theirs.doesnt_match(mixed)
    with pytest.raises(InvalidArgumentError, match="none of"):
        client.doesnt_match("words", ["no such word"])


def test_rank(client: Client, theirs: Any) -> None:
    for a, b in zip(KEYS[:12], reversed(KEYS), strict=False):
        assert client.rank("words", a, b) == theirs.rank(a, b)
    assert client.rank("words", "king", "king") == theirs.rank("king", "king")


def test_unknown_keys(client: Client) -> None:
    calls: list[Any] = [
        lambda: client.most_similar("words", "qween"),
        lambda: client.similarity("words", "qween", "qween"),
        lambda: client.rank("words", "king", "king2"),
    ]
    for call in calls:
        with pytest.raises(Exception) as caught:
            call()
        errors = getattr(caught.value, "errors", {0: caught.value})
        assert all(isinstance(error, NotFoundError) for error in errors.values())
    absent: list[Any] = [None, [], ()]
    for nothing in absent:
        with pytest.raises(InvalidArgumentError, match="at least one"):
            client.most_similar("words", nothing)
