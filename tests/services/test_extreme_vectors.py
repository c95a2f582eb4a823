"""Vectors of any length through the server: a cosine has none, a distance keeps its digits far
from the origin, and the yardstick of recall is right where a search is not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from latentspace import Client, key, vector
from latentspace.errors import InvalidArgumentError, LatentspaceError
from services.app.local import LocalServer

WORDS: dict[str, list[float]] = {
    "<pad>": [0, 0, 0, 0],
    "tiny": [1.2301534e-33, 2.98745542e-31, -2.7413786e-31, -8.9059185e-31],
    "huge": [-4.5467077e24, -9.9164646e24, 6.0143598e23, 1.3402151e25],
    "harbour": [-0.49220651, -0.62047487, 0.48984204, 0.35688702],
    "ferry": [0.10541425, -0.93046802, -0.02925182, 0.69530320],
    "dominant": [3e38, 1e-30, -1e-38, 0],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("extreme")
    lines = [f"{len(WORDS)} 4"]
    lines += [f"{word} {' '.join(map(repr, row))}" for word, row in WORDS.items()]
    path = Path(folder / "words.txt")
    path.write_text("\n".join(lines) + "\n")
    models = {
        "words": {"family": "word2vec", "source": str(path)},
        "texts": {"family": "averaged", "source": str(path)},
    }
    with LocalServer(folder / "data", {"models": models}) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


def true_cosine(a: str, b: str) -> float:
    first, second = (np.array(WORDS[word], np.float32).astype(np.float64) for word in (a, b))
    lengths = np.sqrt((first**2).sum()) * np.sqrt((second**2).sum())
    return float(first @ second / lengths) if lengths else 0.0


@pytest.mark.parametrize("word", ["tiny", "huge", "harbour", "dominant"])
def test_neighbours_of_words_of_any_length(client: Client, word: str) -> None:
    hits = {hit.id: hit.score for hit in client.search("words", key=word, k=10)}
    assert set(hits) == set(WORDS) - {word}
    for other, score in hits.items():
        assert score == pytest.approx(true_cosine(word, other), abs=2e-6)
        assert client.similarity("words", word, other) == pytest.approx(
            true_cosine(word, other), abs=1e-6
        )
        [compared] = client.compare("words", keys=[(word, other)])
        assert compared.score == pytest.approx(true_cosine(word, other), abs=2e-6)


def test_known_values(client: Client) -> None:
    hits = {hit.id: hit.score for hit in client.search("words", key="harbour", k=10)}
    assert hits["huge"] == pytest.approx(0.781, abs=1e-3)
    assert hits["tiny"] == pytest.approx(-0.654, abs=1e-3)
    assert client.similarity("words", "harbour", "<pad>") == 0.0
    assert client.similarity("words", "<pad>", "<pad>") == 0.0
    assert client.doesnt_match("words", ["harbour", "huge", "ferry", "tiny"]) == "tiny"


@pytest.mark.parametrize("method", ["3CosAdd", "3CosMul"])
def test_analogies_of_words_of_any_length(client: Client, method: str) -> None:
    found = client.analogy("words", positive=["huge", "tiny"], negative=["dominant"], method=method)
    unit = {
        word: np.array(row, np.float32).astype(np.float64) / (length or 1)
        for word, row in WORDS.items()
        for length in [float(np.sqrt((np.array(row, np.float64) ** 2).sum()))]
    }
    if method == "3CosAdd":
        wanted = unit["huge"] + unit["tiny"] - unit["dominant"]
        wanted /= np.linalg.norm(wanted)
        scores = {word: float(row @ wanted) for word, row in unit.items()}
    else:
        shifted = {
            word: [(1 + float(row @ unit[other])) / 2 for other in ("huge", "tiny", "dominant")]
            for word, row in unit.items()
        }
        scores = {word: a * b / (c + 1e-6) for word, (a, b, c) in shifted.items()}
    assert {match.id for match in found} == {"<pad>", "harbour", "ferry"}
    for match in found:
        assert match.score == pytest.approx(scores[match.id], abs=1e-5)


@pytest.mark.parametrize("weight", [1e-36, 1.0, 1e36])
def test_weights_of_any_size(client: Client, weight: float) -> None:
    usual = client.search("words", query=[(1.0, key("huge")), (-0.5, key("tiny"))], k=4)
    scaled = [(weight, key("huge")), (-0.5 * weight, key("tiny"))]
    hits = client.search("words", query=scaled, k=4)
    assert [hit.id for hit in hits] == [hit.id for hit in usual]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in usual], abs=2e-6)
    found = client.most_similar("words", positive=[np.array(WORDS["huge"]) * 1e12, ("ferry", 1e36)])
    assert found
    assert all(np.isfinite(score) for _, score in found)


def test_averages_of_words_of_any_length(client: Client) -> None:
    rows = client.embed("texts", texts=["huge harbour", "tiny ferry", "huge tiny"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    both = np.array([WORDS["tiny"], WORDS["ferry"]], np.float64)
    total = (both / np.linalg.norm(both, axis=1, keepdims=True)).sum(axis=0)
    expected = total / np.linalg.norm(total)
    np.testing.assert_allclose(np.asarray(rows)[1], expected, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_collections_keep_and_compare_what_they_accept(
    client: Client, name: str, metric: str
) -> None:
    client.create_collection(name, dim=3, metric=metric)
    rows = np.array(
        [[1e25, 2e25, 0], [3e-30, 0, 0], [1e-42, 0, 1e-42], [3e38, 3e38, 3e38], [1, 1, 0]],
        np.float32,
    )
    ids = ["large", "small", "denormal", "largest", "usual"]
    client.upsert(name, ids=ids, vectors=rows)
    wide = rows.astype(np.float64)
    for query in rows:
        hits = client.search(name, vector=query, k=5)
        asked = query.astype(np.float64)
        scores = -((wide - asked) ** 2).sum(axis=1) if metric == "l2" else wide @ asked
        if metric == "cosine":
            scores /= np.sqrt((wide**2).sum(axis=1)) * np.sqrt((asked**2).sum())
        limited = np.clip(scores, -3.4028235e38, 3.4028235e38)
        assert {hit.id for hit in hits} == set(ids)
        assert [hit.score for hit in hits] == pytest.approx(
            np.sort(limited)[::-1].tolist(), rel=1e-6, abs=1e-6 if metric == "cosine" else 1e-45
        )
        if metric != "cosine":
            order = np.argsort(-scores, kind="stable")
            assert [hit.id for hit in hits] == [ids[place] for place in order]
    for bad in (np.nan, np.inf):
        with pytest.raises((LatentspaceError, ValueError)):
            client.upsert(name, ids=["bad"], vectors=np.array([[bad, 0, 0]], np.float32))
        with pytest.raises((LatentspaceError, ValueError)):
            client.search(name, vector=np.array([bad, 0, 0], np.float32))
    assert client.count(name) == 5


def test_a_sum_beyond_float32_is_refused_where_its_length_counts(client: Client, name: str) -> None:
    client.create_collection(name, dim=2, metric="dot")
    client.upsert(name, ids=["a"], vectors=np.ones((1, 2), np.float32))
    large = vector(np.array([3e38, 0], np.float32))
    with pytest.raises(InvalidArgumentError, match="larger than float32"):
        client.search(name, query=[(3e38, large), (3e38, vector(np.ones(2, np.float32)))])


def far_rows(count: int, offset: float) -> tuple[FloatRows, FloatRows]:
    rng = np.random.default_rng(3)
    rows = (offset + rng.standard_normal((count, 6))).astype(np.float32)
    return rows, (rows[:20] + 0.3 * rng.standard_normal((20, 6))).astype(np.float32)


def tenths(rows: FloatRows, queries: FloatRows) -> NDArray[np.float64]:
    """Distances to the ten nearest, float64 (q, 10)."""
    wide, asked = rows.astype(np.float64), queries.astype(np.float64)
    distances = np.stack([((wide - one) ** 2).sum(axis=1) for one in asked])
    return np.sort(distances, axis=1)[:, :10]


@pytest.mark.parametrize("recipe", ["exact", "hnsw", "ivf", "ivf_sq8"])
def test_l2_far_from_the_origin(client: Client, name: str, recipe: str) -> None:
    rows, queries = far_rows(4000, 1e5)
    client.create_collection(name, dim=6, metric="l2", recipe=recipe)
    client.upsert(name, ids=[str(i) for i in range(len(rows))], vectors=rows)
    expected = -tenths(rows, queries)

    def scores(**options: object) -> NDArray[np.float64]:
        found = client.search_batch(name, vectors=queries, k=10, **options)  # type: ignore[arg-type]
        return np.asarray(found.scores, np.float64)

    np.testing.assert_allclose(scores(), expected, rtol=1e-6)
    client.optimize(name)
    np.testing.assert_allclose(scores(params={"exact": True}), expected, rtol=1e-6)
    assert (scores() >= 1.00001 * expected[:, -1:]).mean() > 0.9
    low = client.measure_recall(name, k=10, samples=200, params={"nprobe": 1, "ef": 10})
    high = client.measure_recall(name, k=10, samples=200, params={"exact": True})
    assert high.recall == 1.0
    if recipe.startswith("ivf"):
        assert low.recall < 0.9
