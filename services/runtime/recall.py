"""How good a collection's searches are: sampled queries against exact search."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.types import Hits, Points, SearchParameters

# Scores nearer than this are ties: either neighbour counts as found.
TIE = 1e-6
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean share of the true neighbours found, its 95 % confidence interval, and times."""

    recall: float
    low: float
    high: float
    samples: int
    mean_search_ns: int
    mean_exact_ns: int


def measure_recall(
    collection: Collection, k: int, samples: int, params: SearchParameters, seed: int
) -> Recall:
    """Searches for sampled points' neighbours both ways, each point without itself.

    The interval is that of a mean over queries (normal approximation).
    """
    ids, queries = sample(collection, samples, seed)
    if not ids:
        return Recall(1.0, 1.0, 1.0, 0, 0, 0)
    request = SearchRequest(queries, k=k + 1, params=params)
    approximate, search_ns = _timed(collection, request)
    exact, exact_ns = _timed(collection, replace(request, params=replace(params, exact=True)))
    found = shares(approximate, exact, ids, k)
    if not len(found):
        return Recall(1.0, 1.0, 1.0, 0, 0, 0)
    mean = float(found.mean())
    spread = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    half = NORMAL_95 * spread / math.sqrt(len(found))
    return Recall(
        mean,
        max(0.0, mean - half),
        min(1.0, mean + half),
        len(found),
        search_ns // len(queries),
        exact_ns // len(queries),
    )


def sample(collection: Collection, count: int, seed: int) -> tuple[list[str], FloatRows]:
    """Ids and rows float32 (n, dim) of random points, at most `count`."""
    rng = np.random.default_rng(seed)
    points = collection.info.points
    wanted = np.sort(rng.choice(points, min(count, points), replace=False))
    slots, rows, start = [], [], 0
    for block_slots, block in collection.blocks():
        mine = wanted[(wanted >= start) & (wanted < start + len(block))] - start
        slots.append(block_slots[mine])
        rows.append(np.array(block[mine]))
        start += len(block)
    if not rows:
        return [], np.empty((0, collection.spec.dim), np.float32)
    return collection.ids_of(np.concatenate(slots)), np.concatenate(rows)


def shares(approximate: Hits, exact: Hits, own: list[str], k: int) -> NDArray[np.float64]:
    """For each query the share of its k true neighbours that were found; ties count."""
    ends_a, ends_e = np.cumsum(approximate.counts), np.cumsum(exact.counts)
    found = []
    for i, me in enumerate(own):
        mine = [
            float(approximate.scores[p])
            for p in range(ends_a[i] - approximate.counts[i], ends_a[i])
            if approximate.points.ids[p] != me
        ][:k]
        true = [
            float(exact.scores[p])
            for p in range(ends_e[i] - exact.counts[i], ends_e[i])
            if exact.points.ids[p] != me
        ][:k]
        if true:
            enough = true[-1] - TIE * max(1.0, abs(true[-1]))
            found.append(sum(score >= enough for score in mine) / len(true))
    return np.array(found, np.float64)


def _timed(collection: Collection, request: SearchRequest) -> tuple[Hits, int]:
    """Hits of single searches, one by one, as users' calls come, and their time."""
    started = time.perf_counter_ns()
    parts = [
        collection.search(replace(request, queries=request.queries[i : i + 1]))
        for i in range(len(request.queries))
    ]
    elapsed = time.perf_counter_ns() - started
    ids = [point_id for part in parts for point_id in part.points.ids]
    scores = np.concatenate([part.scores for part in parts])
    return Hits(Points(ids), scores, np.concatenate([part.counts for part in parts])), elapsed
