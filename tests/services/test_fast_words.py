"""A vocabulary copied into an HNSW collection, through a real server."""

from collections.abc import Iterator

import numpy as np
import pytest

from embedders.formats.layout import save_safetensors
from embedders.vectors import FloatRows, normalize_rows
from embedders.vocabulary import Vocabulary
from latentspace import Client, point
from services.app.local import LocalServer

COUNT, DIM, K = 4000, 20, 10
KEYS = [f"w{number}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def rows() -> FloatRows:
    """Words around 40 centres, not of unit length."""
    rng = np.random.default_rng(3)
    near = rng.standard_normal((40, DIM))[rng.integers(0, 40, COUNT)]
    return (3 * (near + rng.standard_normal((COUNT, DIM)))).astype(np.float32)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, rows: FloatRows) -> Iterator[Client]:
    """A server whose model `words` has been copied to `fast-words` in parts, and indexed."""
    folder = tmp_path_factory.mktemp("fast")
    path = folder / "words.safetensors"
    save_safetensors(path, Vocabulary(KEYS, rows), "word2vec")
    settings = {"models": {"words": {"family": "word2vec", "source": str(path)}}}
    with LocalServer(folder / "data", settings) as server, Client(server.address) as ls:
        ls.create_collection("fast-words", model="words", recipe="hnsw")
        keys = [point.id for point in ls.scroll("words", with_payload=False)]
        for start in range(0, len(keys), 1500):
            part = keys[start : start + 1500]
            ls.upsert("fast-words", ids=part, keys=part)
        ls.optimize("fast-words", full=True)
        yield ls


def test_the_graph_finds_what_the_matrix_says(client: Client, rows: FloatRows) -> None:
    queries = normalize_rows(rows[::80] + np.float32(0.5))
    cosines = queries.astype(np.float64) @ normalize_rows(rows).astype(np.float64).T
    truth = np.argsort(-cosines, axis=1)[:, :K]
    found = client.search_batch(
        "fast-words", vectors=queries, k=K, params={"ef": 256}, explain=True
    )
    assert {segment.method for plan in found.plans for segment in plan.segments} == {"graph"}
    places = np.array([[int(key[1:]) for key in line] for line in found.ids])
    shared = [len({*a} & {*b}) for a, b in zip(places.tolist(), truth.tolist(), strict=True)]
    assert sum(shared) >= 0.98 * truth.size
    np.testing.assert_allclose(found.scores, np.take_along_axis(cosines, places, axis=1), atol=1e-5)


def test_exact_answers_are_those_of_the_vocabulary(client: Client, rows: FloatRows) -> None:
    copied = client.search_batch("fast-words", vectors=rows[:60], k=K, params={"exact": True})
    own = client.search_batch("words", vectors=rows[:60], k=K)
    np.testing.assert_array_equal(copied.ids, own.ids)
    np.testing.assert_allclose(copied.scores, own.scores, atol=1e-6)


def test_keys_and_points_of_the_copy(client: Client, rows: FloatRows) -> None:
    assert client.count("fast-words") == COUNT
    unit = normalize_rows(rows)
    order = np.argsort(-(unit @ unit[17]), kind="stable")[: K + 1].tolist()
    expected = [KEYS[place] for place in order]
    found = client.search("fast-words", key="w17", k=K + 1, params={"ef": 400})
    assert [match.id for match in found] == expected
    found = client.search("fast-words", point="w17", k=K, params={"ef": 400})
    assert [match.id for match in found] == expected[1:]


def test_a_sum_of_points_finds_by_the_graph_what_the_analogy_finds(client: Client) -> None:
    for a, b, c in (("w1", "w2", "w3"), ("w70", "w801", "w3999")):
        query = [(1.0, point(b)), (1.0, point(c)), (-1.0, point(a))]
        found = client.search("fast-words", query=query, k=K, params={"ef": 400})
        expected = client.analogy("words", [b, c], [a], k=K)
        assert [match.id for match in found] == [match.id for match in expected]
        np.testing.assert_allclose(
            [match.score for match in found], [match.score for match in expected], atol=1e-5
        )
