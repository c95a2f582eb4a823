"""How good a collection's searches are: sampled queries against a yardstick of their own.

The yardstick scores every point in float64, l2 by differences. It shares no arithmetic with the
searches it judges, exact ones included, so that it cannot be wrong together with them.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray
from index.base import Collection, SearchRequest
from index.types import Metric, SearchParameters
from services.runtime.deadlines import check_deadline

Numbers = NDArray[np.float64]

# Scores nearer than this, in proportion, are ties: either neighbour counts as found.
TIE = 1e-6
NORMAL_95 = 1.96
# exact searches that are timed, beside the yardstick
TIMED_EXACT = 32
# numbers of the rows that are compared at a time: 1 MB stays in cache
BLOCK_NUMBERS = 1 << 17
# scores of a block for all samples: 8 MB
BLOCK_SCORES = 1 << 20
IDS_READ = 2000


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean share of the true neighbours found, its 95 % confidence interval, and times."""

    recall: float
    low: float
    high: float
    samples: int
    mean_search_ns: int
    mean_exact_ns: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Random points: slots intp (s,), ids, and rows float32 (s, dim)."""

    slots: IndexArray
    ids: Sequence[str]
    rows: FloatRows


def measure_recall(
    collection: Collection,
    k: int,
    samples: int,
    params: SearchParameters,
    seed: int,
    deadline: float | None = None,
) -> Recall:
    """Searches for sampled points' neighbours, each point without itself.

    The interval is that of a mean over queries (normal approximation).

    Args:
        deadline: `time.monotonic()` value after which nobody wants the result.

    Raises:
        DeadlineError: it has passed.
    """
    sampled = sample(collection, samples, seed)
    if not sampled.ids:
        return Recall(1.0, 1.0, 1.0, 0, 0, 0)
    request = SearchRequest(sampled.rows, k=k + 1, params=params)
    found, search_ns = _timed(collection, request, deadline)
    exactly = replace(
        request, queries=sampled.rows[:TIMED_EXACT], params=replace(params, exact=True)
    )
    _, exact_ns = _timed(collection, exactly, deadline)
    best = best_scores(collection, sampled, k, deadline)
    if not best.shape[1]:
        return Recall(1.0, 1.0, 1.0, 0, 0, 0)
    share = shares(collection, sampled, found, best)
    mean = float(share.mean())
    spread = float(share.std(ddof=1)) if len(share) > 1 else 0.0
    half = NORMAL_95 * spread / math.sqrt(len(share))
    return Recall(
        mean, max(0.0, mean - half), min(1.0, mean + half), len(share), search_ns, exact_ns
    )


def sample(collection: Collection, count: int, seed: int) -> Sample:
    """Random points, at most `count`; under cosine none that are zero."""
    rng = np.random.default_rng(seed)
    points = collection.info.points
    wanted = np.sort(rng.choice(points, min(count, points), replace=False))
    slots, rows, start = [], [], 0
    for block_slots, block in collection.blocks():
        mine = wanted[(wanted >= start) & (wanted < start + len(block))] - start
        if collection.spec.metric is Metric.COSINE:
            mine = mine[block[mine].any(axis=1)]
        slots.append(block_slots[mine])
        rows.append(np.array(block[mine]))
        start += len(block)
    if not rows:
        return Sample(np.empty(0, np.intp), [], np.empty((0, collection.spec.dim), np.float32))
    chosen = np.concatenate(slots)
    return Sample(chosen, collection.ids_of(chosen), np.concatenate(rows))


def best_scores(
    collection: Collection, sampled: Sample, k: int, deadline: float | None = None
) -> Numbers:
    """Scores of each sampled point's true neighbours, float64 (s, at most k), descending."""
    queries, metric = sampled.rows.astype(np.float64), collection.spec.metric
    best = np.empty((len(queries), 0))
    for slots, rows in _small_blocks(collection, len(queries)):
        check_deadline(deadline)
        scores = float64_scores(queries, rows, metric)
        # no point is its own neighbour
        owner, place = np.nonzero(sampled.slots[:, None] == slots)
        scores[owner, place] = -np.inf
        best = np.concatenate([best, scores], axis=1)
        if best.shape[1] > k:
            best = -np.partition(-best, k - 1, axis=1)[:, :k]
    best = -np.sort(-best, axis=1)
    return best[:, : np.isfinite(best).all(axis=0).sum()]


def float64_scores(queries: Numbers, rows: FloatRows, metric: Metric) -> Numbers:
    """Scores of rows float32 (n, d) for queries float64 (q, d), float64 (q, n)."""
    wide = rows.astype(np.float64)
    if metric is Metric.L2:
        scores = np.empty((len(queries), len(wide)))
        for query, line in zip(queries, scores, strict=True):
            difference = wide - query
            np.negative(np.einsum("ij,ij->i", difference, difference), out=line)
        return scores
    if metric is Metric.COSINE:
        queries, wide = (part / _lengths(part) for part in (queries, wide))
    products: Numbers = queries @ wide.T
    return products


def shares(
    collection: Collection, sampled: Sample, found: Sequence[Sequence[str]], best: Numbers
) -> Numbers:
    """For each query the share of its true neighbours that were found; ties count.

    Args:
        found: ids of each query's hits, best first.
        best: scores of the true neighbours, (s, t), descending.
    """
    true, metric = best.shape[1], collection.spec.metric
    others = [
        [point_id for point_id in ids if point_id != own][:true]
        for ids, own in zip(found, sampled.ids, strict=True)
    ]
    rows = _rows_of(collection, {point_id for ids in others for point_id in ids})
    last = best[:, -1]
    ties = TIE * (np.ones(len(last)) if metric is Metric.COSINE else np.abs(last))
    share = np.zeros(len(others))
    for number, ids in enumerate(others):
        reached = [rows[point_id] for point_id in ids if point_id in rows]
        if reached:
            query = sampled.rows[number : number + 1].astype(np.float64)
            scores = float64_scores(query, np.stack(reached), metric)[0]
            share[number] = np.count_nonzero(scores >= last[number] - ties[number]) / true
    return share


def _small_blocks(collection: Collection, samples: int) -> Iterator[tuple[IndexArray, FloatRows]]:
    step = max(1, min(BLOCK_NUMBERS // collection.spec.dim, BLOCK_SCORES // samples))
    for slots, rows in collection.blocks():
        for start in range(0, len(rows), step):
            yield slots[start : start + step], rows[start : start + step]


def _rows_of(collection: Collection, ids: set[str]) -> dict[str, FloatRows]:
    wanted, rows = sorted(ids), dict[str, FloatRows]()
    for start in range(0, len(wanted), IDS_READ):
        part = wanted[start : start + IDS_READ]
        points, _ = collection.get(part, with_vectors=True, with_payload=False)
        assert points.vectors is not None
        rows.update(zip(points.ids, points.vectors, strict=True))
    return rows


def _lengths(rows: Numbers) -> Numbers:
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.where(lengths > 0, lengths, 1)


def _timed(
    collection: Collection, request: SearchRequest, deadline: float | None
) -> tuple[list[Sequence[str]], int]:
    """Ids of single searches, one by one, as users' calls come, and their mean time."""
    started = time.perf_counter_ns()
    parts = []
    for i in range(len(request.queries)):
        check_deadline(deadline)
        parts.append(collection.search(replace(request, queries=request.queries[i : i + 1])))
    elapsed = time.perf_counter_ns() - started
    return [part.points.ids for part in parts], elapsed // len(parts)
