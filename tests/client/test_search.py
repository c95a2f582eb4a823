from typing import Any

import numpy as np
import pytest

from latentspace import (
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    Modality,
    NotFoundError,
    PartialError,
    Recommend,
    key,
    point,
    text,
    vector,
)
from latentspace.requests.queries import query_message
from latentspace.requests.search import MAX_QUERIES
from latentspace.v1 import search_service_pb2 as pb
from tests.client.fake.world import WORDS, World, vector_of, words_matrix

DIM, COUNT = 6, 50
MATRIX = np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float32)
UNIT = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)


@pytest.fixture
def raw(client: Client) -> Client:
    client.create_collection("raw", dim=DIM)
    ids = [f"p{i}" for i in range(COUNT)]
    client.upsert("raw", ids, vectors=MATRIX, payloads=[{"year": i} for i in range(COUNT)])
    return client


def neighbours(query: np.ndarray[Any, Any], k: int) -> tuple[list[str], np.ndarray[Any, Any]]:
    scores = UNIT @ (query / np.linalg.norm(query))
    order = np.argsort(-scores)[:k]
    return [f"p{i}" for i in order], scores[order]


def test_one_vector(raw: Client) -> None:
    query = MATRIX[3] + 0.1
    found = raw.search("raw", vector=query, k=5)
    ids, scores = neighbours(query, 5)
    assert [match.id for match in found] == ids
    np.testing.assert_allclose([match.score for match in found], scores, rtol=1e-5)
    assert found[0].payload == {"year": int(ids[0][1:])}
    assert found[0].modality is Modality.VECTOR
    assert found[0].vector is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_batch_of_vectors(raw: Client, dtype: Any) -> None:
    queries = np.random.default_rng(2).standard_normal((20, DIM)).astype(dtype)
    result = raw.search_batch("raw", vectors=queries, k=4)
    assert (result.ids.shape, result.scores.shape) == ((20, 4), (20, 4))
    assert result.counts.tolist() == [4] * 20
    for i, query in enumerate(queries.astype(np.float32)):
        ids, scores = neighbours(query, 4)
        assert result.ids[i].tolist() == ids
        np.testing.assert_allclose(result.scores[i], scores, rtol=1e-4)
        assert [match.id for match in result[i]] == ids
    assert len(list(result)) == len(result) == 20
    assert result[0][0].payload is None
    assert result.timing.search_ns == 3


def test_short_answers_are_padded(raw: Client) -> None:
    result = raw.search_batch(
        "raw",
        vectors=MATRIX[:2],
        k=5,
        filter={"year": {"lt": 2}},
        with_payload=True,
        with_vectors=True,
    )
    assert result.counts.tolist() == [2, 2]
    assert result.ids[:, 2:].tolist() == [["", "", ""]] * 2
    assert np.isneginf(result.scores[:, 2:]).all()
    assert result.vectors is not None
    assert np.isnan(result.vectors[:, 2:]).all()
    assert [match.id for match in result[0]] == ["p0", "p1"]
    first = result[0][0]
    assert first.payload == {"year": 0}
    assert first.vector is not None
    np.testing.assert_array_equal(first.vector, MATRIX[0])
    assert "2 queries, 4 matches" in repr(result)


def test_no_answers_at_all(raw: Client) -> None:
    result = raw.search_batch("raw", vectors=MATRIX[:3], k=2, filter={"year": 999})
    assert result.counts.tolist() == [0, 0, 0]
    assert result.ids.tolist() == [["", ""]] * 3
    assert list(result) == [[], [], []]
    assert raw.search("raw", vector=MATRIX[0], filter={"year": 999}) == []


def test_other_ways_to_ask(raw: Client) -> None:
    assert raw.search("raw", point="p7", k=1)[0].id == "p7"
    assert raw.search("words", key="king", k=1)[0].id == "king"
    other = raw.search("words", point=point("king", "words"), k=2)
    assert [match.id for match in other] == [m.id for m in raw.search("words", key="king", k=2)]
    raw.create_collection("notes", model="sentences")
    raw.upsert("notes", ["a", "b"], texts=["first", "second"])
    assert raw.search("notes", text="second", k=1)[0].id == "b"
    batch = raw.search_batch("notes", texts=["first", "second"], k=1)
    assert batch.ids[:, 0].tolist() == ["a", "b"]
    assert raw.search_batch("words", keys=["king", "rome"], k=1).ids[:, 0].tolist() == [
        "king",
        "rome",
    ]
    assert raw.search_batch("raw", points=["p1", point("p2")], k=1).ids[:, 0].tolist() == [
        "p1",
        "p2",
    ]


def test_sums_of_inputs(raw: Client) -> None:
    words = words_matrix()
    king, man, woman = (words[WORDS.index(word)] for word in ("king", "man", "woman"))
    query: Any = [(1.0, key("king")), (key("man"), -0.5), key("woman")]
    total = king - 0.5 * man + woman
    scores = words @ (total / np.linalg.norm(total))
    found = raw.search("words", query=query, k=3)
    assert [match.id for match in found] == [WORDS[i] for i in np.argsort(-scores)[:3]]
    batch = raw.search_batch("words", queries=[query, key("king"), [(2.0, vector(king))]], k=3)
    assert batch.ids[0].tolist() == [match.id for match in found]
    assert batch.ids[1, 0] == batch.ids[2, 0] == "king"


def test_what_is_sent(raw: Client, world: World) -> None:
    raw.search(
        "raw",
        vector=MATRIX[0],
        k=3,
        params={"ef": 99, "exact": True},
        score_threshold=0.25,
        offset=2,
        group_by="year",
        group_size=2,
        diversity=0.5,
        options={"role": "query"},
        space_id="s",
        explain=True,
        page_token="t",
    )
    sent = world.requests[-1]
    assert (sent.params.ef, sent.params.exact, sent.score_threshold) == (99, True, 0.25)
    assert (sent.offset, sent.group_by.field, sent.group_by.group_size) == (2, "year", 2)
    assert getattr(sent.diversity, "lambda") == 0.5
    assert (sent.options.role, sent.vectors.space_id, sent.explain) == ("query", "s", True)
    assert (sent.with_payload, sent.page_token, sent.k) == (True, "t", 3)
    raw.search_batch("raw", vectors=MATRIX[:1])
    assert not world.requests[-1].with_payload
    assert not world.requests[-1].HasField("score_threshold")
    message = query_message(Recommend(["p1"], [vector([1.0] * DIM)], "best_score"))
    assert message.recommend.positives[0].point.id == "p1"
    assert message.recommend.strategy == pb.RECOMMEND_STRATEGY_BEST_SCORE


def test_failed_queries_keep_their_places(client: Client) -> None:
    keys = ["king", "qween", "rome"]
    with pytest.raises(PartialError) as caught:
        client.search_batch("words", keys=keys, k=2)
    assert list(caught.value.errors) == [1]
    result = client.search_batch("words", keys=keys, k=2, on_error="return")
    assert result.counts.tolist() == [2, 0, 2]
    assert result.ids[:, 0].tolist() == ["king", "", "rome"]
    assert result[1] == []
    assert isinstance(result.errors[1], NotFoundError)
    with pytest.raises(NotFoundError, match="qween"):
        client.search("words", key="qween")
    with pytest.raises(NotFoundError, match="qween"):
        client.search_batch("words", keys=["qween"])


def test_large_batches_are_split(raw: Client, world: World) -> None:
    queries = np.random.default_rng(3).standard_normal((MAX_QUERIES + 9, DIM)).astype(np.float32)
    result = raw.search_batch("raw", vectors=queries, k=1)
    sent = [r for r in world.requests if isinstance(r, pb.SearchRequest)]
    assert sorted(r.vectors.count for r in sent) == [9, MAX_QUERIES]
    scores = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ UNIT.T
    assert result.ids[:, 0].tolist() == [f"p{i}" for i in scores.argmax(axis=1)]


def test_parts_are_smaller_where_replies_are_large(raw: Client, world: World) -> None:
    raw.search_batch("raw", vectors=MATRIX[:20], k=10_000, with_payload=True)
    sent = [r for r in world.requests if isinstance(r, pb.SearchRequest)]
    assert [r.vectors.count for r in sent] == [1] * 20


def test_analogies(client: Client) -> None:
    words = words_matrix()
    king, man, woman = (words[WORDS.index(word)] for word in ("king", "man", "woman"))
    scores = words @ (king - man + woman)
    scores /= np.linalg.norm(king - man + woman)
    order = [i for i in np.argsort(-scores) if WORDS[i] not in ("king", "man", "woman")]
    found = client.analogy("words", ["king", "woman"], ["man"], k=3)
    assert [match.id for match in found] == [WORDS[i] for i in order[:3]]
    np.testing.assert_allclose([match.score for match in found], scores[order[:3]], rtol=1e-5)
    questions: Any = [(["king", "woman"], ["man"]), ("rome", "paris"), ([(2.0, key("rome"))], [])]
    batch = client.analogy_batch("words", questions, k=3)
    assert batch.ids[0].tolist() == [match.id for match in found]
    assert len(batch) == 3
    own = client.analogy("words", ["king"], include_inputs=True, k=1)
    assert own[0].id == "king"
    few = client.analogy("words", ["king"], k=50, vocabulary_limit=10)
    assert {match.id for match in few} <= set(WORDS[:10])


def test_many_analogies(client: Client, world: World) -> None:
    words = words_matrix()
    rng = np.random.default_rng(4)
    triples = [rng.choice(len(WORDS), 3, replace=False) for _ in range(300)]
    questions: Any = [([WORDS[b], WORDS[c]], [WORDS[a]]) for a, b, c in triples]
    questions[17] = (["qween"], [])
    batch = client.analogy_batch("words", questions, k=1, on_error="return")
    for i, (a, b, c) in enumerate(triples):
        if i == 17:
            continue
        scores = words @ (words[b] + words[c] - words[a])
        scores[[a, b, c]] = -np.inf
        assert batch.ids[i, 0] == WORDS[scores.argmax()]
    assert list(batch.errors) == [17]
    assert sum(isinstance(r, pb.AnalogyRequest) for r in world.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "exactly one"),
        ({"key": "a", "text": "b"}, "exactly one"),
        ({"vector": [[1.0]]}, r"\(dim,\)"),
        ({"key": "a", "k": 0}, "k: expected 1 to 10,000"),
        ({"key": "a", "params": {"eff": 3}}, "params: unknown key 'eff'; one of ef"),
        ({"query": []}, "query: is empty"),
        ({"query": [(0.0, key("a"))]}, "finite number other than 0"),
        ({"query": [(float("nan"), key("a"))]}, "finite number other than 0"),
        ({"query": (1.0, key("a"))}, "in a list"),
        ({"query": ["bare"]}, "expected text"),
        ({"query": Recommend([])}, "at least one positive"),
        ({"query": Recommend(["a"], strategy="best")}, "strategy: unknown value"),
    ],
)
def test_bad_queries_are_refused_before_sending(
    client: Client, world: World, arguments: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.search("words", **arguments)
    assert not world.requests


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "exactly one"),
        ({"texts": ["a"], "keys": ["b"]}, "exactly one"),
        ({"vectors": np.zeros((1, 2)), "keys": ["b"]}, "exactly one"),
        ({"queries": [key("a")], "keys": ["b"]}, "exactly one"),
        ({"texts": "hello"}, "expected a list"),
        ({"texts": []}, "empty"),
        ({"vectors": np.zeros((0, 2))}, "empty"),
        ({"vectors": np.zeros(2)}, "expected an array"),
    ],
)
def test_bad_batches_are_refused_before_sending(
    client: Client, world: World, arguments: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.search_batch("words", **arguments)
    assert not world.requests


def test_bad_questions(client: Client) -> None:
    bad: list[Any] = [[], [([], [])], ["king"], [(["a"], ["b"], ["c"])]]
    for questions in bad:
        with pytest.raises(InvalidArgumentError):
            client.analogy_batch("words", questions)
    with pytest.raises(InvalidArgumentError, match="one of 3CosAdd, 3CosMul"):
        client.analogy("words", "king", method="4CosAdd")
    with pytest.raises(TypeError):
        client.search("words", key="king", colour="red")  # type: ignore[call-arg]


def test_compare(client: Client) -> None:
    found = client.compare("sentences", texts=[("a", "a"), ("a", "b")])
    expected = float(vector_of(b"a") @ vector_of(b"b"))
    assert found[0].score == pytest.approx(1.0)
    assert found[1].score == pytest.approx(expected, rel=1e-5)
    assert (found[0].same, found[1].same, found[0].threshold) == (True, expected >= 0.5, 0.5)
    assert client.compare("words", keys=[("king", "king")], threshold=2.0)[0].same is False
    mixed = client.compare("sentences", pairs=[(text("a"), vector(vector_of(b"a")))])
    assert mixed[0].score == pytest.approx(1.0)
    with pytest.raises(PartialError) as caught:
        client.compare("sentences", texts=[("a", "b"), ("a", "")])
    assert list(caught.value.errors) == [1]
    result: Any = caught.value.result
    assert np.isnan(result[1].score)
    with pytest.raises(InvalidArgumentError, match="exactly one"):
        client.compare("sentences")


def test_a_closed_client_says_so(address: str, make: type[Client]) -> None:
    with make(address) as client:
        client.models()
        client.close()
        with pytest.raises(FailedPreconditionError, match="this client is closed"):
            client.models()
