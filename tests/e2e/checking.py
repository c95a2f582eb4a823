"""What a collection answers, compared with numpy over what it stores."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace import Client
from latentspace.requests.options import SearchParams
from latentspace.results.search import SearchResult
from tests.e2e.crashing import DIM, TAGS, State, Writer, change, clustered, name, payload, vectors

K, QUERIES, PAGE, SAMPLE = 10, 16, 5000, 300
Rows = NDArray[np.float32]
States = dict[int, State]


@dataclass(frozen=True, slots=True)
class Stored:
    """All points of a collection: vectors float32 (n, DIM) and payloads, by position."""

    ids: list[str]
    rows: Rows
    payloads: list[dict[str, Any]]

    def states(self) -> States:
        """By writer, what its points tell of the writes that made them."""
        found: States = {}
        for told in self.payloads:
            found.setdefault(told["writer"], {})[told["slot"]] = (told["v"], told["n"])
        return found


def read(client: Client, collection: str, metric: str) -> Stored:
    """Every point, each once, with the vector and the payload of its writes."""
    points = list(client.scroll(collection, page_size=PAGE, with_vectors=True))
    ids = [point.id for point in points]
    assert len(set(ids)) == len(ids), f"{collection}: a point is listed twice"
    payloads = [point.payload or {} for point in points]
    for point_id, told in zip(ids, payloads, strict=True):
        assert point_id == name(told["writer"], told["slot"])
        assert told == payload(told["writer"], told["slot"], told["v"]) | change(told["n"])
    found = [p.vector for p in points if p.vector is not None]
    rows = np.array(found, np.float32).reshape(len(points), DIM)
    np.testing.assert_allclose(rows, scaled(sent(payloads), metric), atol=1e-6)
    return Stored(ids, rows, payloads)


def sent(payloads: list[dict[str, Any]]) -> Rows:
    """The vectors that their writes gave them."""
    told = [(one["writer"], one["v"], one["slot"]) for one in payloads]
    writers, numbers, slots = np.array(told, np.int64).reshape(-1, 3).T
    return vectors(writers, numbers, slots)


def scaled(rows: Rows, metric: str) -> Rows:
    """As a collection of this metric keeps them."""
    if metric != "cosine":
        return rows
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scores(queries: Rows, rows: Rows, metric: str) -> NDArray[np.float64]:
    """float64 (queries, rows), higher is better."""
    left, right = scaled(queries, metric).astype(np.float64), rows.astype(np.float64)
    inner = np.asarray(left @ right.T)
    if metric != "l2":
        return inner
    return np.asarray(2 * inner - (left**2).sum(axis=1)[:, None] - (right**2).sum(axis=1))


def check(
    client: Client, collection: str, metric: str, stored: Stored, chance: random.Random
) -> None:
    """Count, get, filters and searches agree with what is stored."""
    tags = Counter(told["tag"] for told in stored.payloads)
    assert client.count(collection) == len(stored.ids)
    for tag in range(TAGS):
        assert client.count(collection, filter={"tag": f"t{tag}"}) == tags[f"t{tag}"]
    check_get(client, collection, stored, chance)
    queries = clustered(chance.randrange(1 << 32), QUERIES)
    true = scores(queries, stored.rows, metric)
    place = {point_id: i for i, point_id in enumerate(stored.ids)}
    ask = Asked(client, collection, stored.payloads, queries, true, place)
    first = chance.randrange(1000)
    few = {"slot": {"gte": first, "lt": first + 100}}
    for conditions, passes in (
        (None, lambda told: True),
        ({"tag": "t1"}, lambda told: told["tag"] == "t1"),
        (few, lambda told: first <= told["slot"] < first + 100),
    ):
        ask.compare(conditions, passes)


def check_get(client: Client, collection: str, stored: Stored, chance: random.Random) -> None:
    """Points by id: those that there are, and none of those that there are not."""
    place = {point_id: i for i, point_id in enumerate(stored.ids)}
    writers = {told["writer"] for told in stored.payloads} or {0}
    asked = {name(w, slot) for w in writers for slot in chance.sample(range(4000), SAMPLE)}
    found = client.get(collection, sorted(asked), with_vectors=True, on_error="return")
    assert [point.id for point in found] == sorted(asked & place.keys())
    for point in found:
        assert point.payload == stored.payloads[place[point.id]]
        assert point.vector is not None
        np.testing.assert_array_equal(point.vector, stored.rows[place[point.id]])


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries for a collection, float32 (q, DIM).

    Args:
        true: score of every query with every stored point, float64 (q, n).
        place: position of each id among the stored points.
    """

    client: Client
    collection: str
    payloads: list[dict[str, Any]]
    queries: Rows
    true: NDArray[np.float64]
    place: dict[str, int]

    def compare(
        self, conditions: dict[str, Any] | None, passes: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Exact search equals numpy; the default one finds nine of ten."""
        allowed = np.flatnonzero([passes(told) for told in self.payloads])
        efforts: list[tuple[SearchParams, float]] = [({"exact": True}, 1.0), ({}, 0.9)]
        for params, least in efforts:
            found = self.client.search_batch(
                self.collection, vectors=self.queries, k=K, filter=conditions, params=params
            )
            recall = self.recall(found, allowed)
            assert recall >= least, f"{self.collection} {conditions} {params}: recall {recall}"

    def recall(self, found: SearchResult, allowed: NDArray[np.int64]) -> float:
        """Share of true neighbours; every hit is allowed, once, and has its true score."""
        permitted = set(allowed.tolist())
        wanted = min(K, len(allowed))
        if not wanted:
            assert not found.counts.any()
            return 1.0
        least = np.partition(self.true[:, allowed], -wanted, axis=1)[:, -wanted]
        hit = 0
        for query, count in enumerate(found.counts):
            hits = [self.place[point_id] for point_id in found.ids[query, :count]]
            assert len(set(hits)) == len(hits) <= wanted
            assert permitted.issuperset(hits)
            given = found.scores[query, :count]
            np.testing.assert_allclose(given, self.true[query, hits], rtol=1e-4, atol=1e-4)
            assert (np.diff(given) <= 0).all()
            hit += int(np.sum(given >= least[query] - 1e-4))
        return hit / (wanted * len(self.queries))


def settle(stored: Stored, writers: list[Writer]) -> int:
    """Compares what is stored with what the writers sent; how many acknowledged writes."""
    found = stored.states()
    assert found.keys() <= {writer.number for writer in writers}
    acknowledged = sum(writer.acknowledged for writer in writers)
    for writer in writers:
        writer.settle(found.get(writer.number, {}))
    return acknowledged
