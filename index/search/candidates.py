"""Scores of rows named by position."""

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.search.top import Positions, Scores, best_of
from index.types import Metric
from index.untyped import faiss

# numbers of the rows scored at a time in float64: 2 MB
_NUMBERS = 1 << 18


def true_scores(
    rows: FloatRows, queries: FloatRows, positions: Positions, metric: Metric
) -> NDArray[np.float64]:
    """Scores in float64 of candidates int64 (q, c), float64 (q, c); -inf where the position is -1.

    l2 is taken from differences. No float32 numbers overflow or vanish in float64.
    """
    scores = np.full(positions.shape, -np.inf)
    if not scores.size or not len(rows):
        return scores
    step = max(1, _NUMBERS // max(1, positions.shape[1] * rows.shape[1]))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        wide = np.take(rows, positions[part], axis=0, mode="clip").astype(np.float64)
        scores[part] = score_pairs(wide, queries[part, None].astype(np.float64), metric)
    scores[positions < 0] = -np.inf
    return scores


def score_pairs(
    rows: NDArray[np.float64], queries: NDArray[np.float64], metric: Metric
) -> NDArray[np.float64]:
    """Scores of rows float64 (..., d) for the queries that they are broadcast with; takes `rows`
    as room to work in."""
    if metric is not Metric.L2:
        products: NDArray[np.float64] = np.vecdot(rows, queries)
        return products
    rows -= queries
    distances: NDArray[np.float64] = np.vecdot(rows, rows)
    return np.negative(distances, out=distances)


def rescore(
    rows: FloatRows, queries: FloatRows, positions: Positions, k: int, metric: Metric
) -> tuple[Scores, Positions]:
    """Scores of candidates int64 (q, c), -1 where missing: the best k, ties by position."""
    return best_of(score_each(rows, queries, positions, metric), positions, k)


def score_each(
    rows: FloatRows, queries: FloatRows, positions: Positions, metric: Metric
) -> NDArray[np.float32]:
    """Scores of candidates int64 (q, c), float32 (q, c); -inf where the position is -1.

    l2 is taken from differences, so that its relative error is that of a float32 sum. FAISS reads
    the rows where they lie, seven times as fast as `true_scores`.
    """
    scores = np.empty(positions.shape, dtype=np.float32)
    data = np.ascontiguousarray(rows)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    positions = np.ascontiguousarray(positions, dtype=np.int64)
    squares = metric is Metric.L2
    kernel = faiss.fvec_L2sqr_by_idx if squares else faiss.fvec_inner_products_by_idx
    arrays = (faiss.swig_ptr(array) for array in (scores, queries, data, positions))
    kernel(*arrays, data.shape[1], *positions.shape)
    if squares:
        np.negative(scores, out=scores)
    scores[positions < 0] = -np.inf
    return scores
