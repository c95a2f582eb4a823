"""Exact search: blocked products and a running top k. The oracle of every recipe.

A block of scores stays in cache while it is compared with the k-th best so far, so that only
the few scores above it are looked at again.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.types import Metric
from index.untyped import faiss

Scores = NDArray[np.float32]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

# scores of a block: 8 MB stay in the last-level cache; smaller blocks make BLAS threads wait more
_BLOCK_SCORES = 1 << 21
_FIRST_ROWS = 1024
# l2 ranks by 2qx - xx, which loses digits; the spare candidates are compared by their differences
_SPARE = 16
# measured at 384 dimensions: copying a row costs about as much as scoring it for 32 queries
_COPY_QUERIES = 32


def search_exact(
    rows: FloatRows,
    queries: FloatRows,
    k: int,
    metric: Metric,
    *,
    mask: Mask | None = None,
    positions: NDArray[np.integer] | None = None,
) -> tuple[Scores, Positions]:
    """Scores float32 (q, k), descending, ties by position, and positions int64 (q, k).

    Missing hits are position -1 and score -inf.

    Args:
        rows: float32 (n, d), scaled by the metric already; may be memory-mapped.
        queries: float32 (q, d), scaled already.
        mask: (n,), rows that may be returned.
        positions: ascending, rows that may be returned; takes the place of `mask`.
    """
    if mask is not None and positions is None:
        chosen = int(np.count_nonzero(mask))
        if chosen * (len(queries) + _COPY_QUERIES) < len(rows) * (len(queries) + 8):
            positions = np.flatnonzero(mask)
    squares = metric is Metric.L2
    best = top(len(queries), k + _SPARE if squares else k)
    total = len(rows) if positions is None else len(positions)
    for start, end in _spans(total, len(queries), best.k):
        if positions is None:
            block = np.asarray(rows[start:end])
            scores = _scores(block, queries, squares)
            if mask is not None:
                scores[:, ~mask[start:end]] = -np.inf
            best.offer(scores, start)
        else:
            part = positions[start:end]
            best.offer(_scores(np.take(rows, part, axis=0), queries, squares), part)
    if not squares:
        return best.scores, best.positions
    return rescore(rows, queries, best.positions, k, metric)


def rescore(
    rows: FloatRows, queries: FloatRows, positions: Positions, k: int, metric: Metric
) -> tuple[Scores, Positions]:
    """Exact scores of candidates int64 (q, c), -1 where missing: the best k, ties by position."""
    return best_of(score_each(rows, queries, positions, metric), positions, k)


def score_each(rows: FloatRows, queries: FloatRows, positions: Positions, metric: Metric) -> Scores:
    """Exact scores of candidates int64 (q, c), float32 (q, c); -inf where the position is -1.

    FAISS reads the rows where they lie; fetching them first takes twice as long.
    """
    scores: Scores = np.empty(positions.shape, dtype=np.float32)
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


def best_of(scores: Scores, positions: Positions, k: int) -> tuple[Scores, Positions]:
    """The best k of each row, descending, ties by position, padded to k."""
    order = np.lexsort((positions, -scores), axis=1)[:, :k]
    scores = np.take_along_axis(scores, order, axis=1)
    positions = np.take_along_axis(positions, order, axis=1)
    missing = k - scores.shape[1]
    if missing > 0:
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
        positions = np.pad(positions, ((0, 0), (0, missing)), constant_values=-1)
    return scores, positions


def top(queries: int, k: int) -> "TopK | TopOne":
    """Collects the best k of blocks of scores."""
    return TopOne(queries) if k == 1 else TopK(queries, k)


class TopOne:
    """As `TopK` for k 1, by plain maxima."""

    k = 1

    def __init__(self, queries: int) -> None:
        self.scores: Scores = np.full((queries, 1), -np.inf, dtype=np.float32)
        self.positions: Positions = np.full((queries, 1), -1, dtype=np.int64)

    def offer(self, scores: Scores, positions: int | NDArray[np.integer]) -> None:
        """See `TopK.offer`."""
        column = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), column]
        better = best > self.scores[:, 0]
        found = column + positions if isinstance(positions, int) else positions[column]
        self.scores[better, 0] = best[better]
        self.positions[better, 0] = found[better]


class TopK:
    """The best k of all scores offered so far, for each of q queries."""

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.scores: Scores = np.full((queries, k), -np.inf, dtype=np.float32)
        self.positions: Positions = np.full((queries, k), -1, dtype=np.int64)

    def offer(self, scores: Scores, positions: int | NDArray[np.integer]) -> None:
        """Takes scores (q, b) of the positions named, or of those from a first one on.

        Positions ascend from block to block, and the earlier of equal scores wins.
        """
        # most blocks better few queries: a maximum each is the least that must be looked at
        hot = np.flatnonzero(scores.max(axis=1, initial=-np.inf) > self.scores[:, -1])
        if not len(hot):
            return
        hot_scores = scores[hot]
        query, column = np.divmod(self._above(hot_scores, hot), scores.shape[1])
        found = column + positions if isinstance(positions, int) else positions[column]
        self._merge(hot[query], hot_scores[query, column], found)

    def _above(self, scores: Scores, queries: NDArray[np.intp]) -> NDArray[np.intp]:
        floor = self.scores[queries, -1, None]
        above = np.flatnonzero(scores > floor)
        if len(above) <= 8 * self.k * len(queries) or scores.shape[1] <= self.k:
            return above
        least = np.partition(scores, -self.k, axis=1)[:, -self.k, None]
        return np.flatnonzero((scores >= least) & (scores > floor))

    def _merge(
        self, query: NDArray[np.intp], scores: Scores, positions: NDArray[np.integer]
    ) -> None:
        counts = np.bincount(query, minlength=len(self.scores))
        rank = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        width = self.k + int(counts.max())
        all_scores = np.full((len(self.scores), width), -np.inf, dtype=np.float32)
        all_positions = np.full((len(self.scores), width), -1, dtype=np.int64)
        all_scores[:, : self.k] = self.scores
        all_positions[:, : self.k] = self.positions
        all_scores[query, self.k + rank] = scores
        all_positions[query, self.k + rank] = positions
        order = np.argsort(-all_scores, axis=1, kind="stable")[:, : self.k]
        self.scores = np.take_along_axis(all_scores, order, axis=1)
        self.positions = np.take_along_axis(all_positions, order, axis=1)


def _spans(total: int, queries: int, k: int) -> list[tuple[int, int]]:
    size = max(_FIRST_ROWS, _BLOCK_SCORES // max(1, queries))
    first = min(total, max(_FIRST_ROWS, 4 * k))
    edges = [0, first, *range(first + size, total, size), total] if total else []
    return [(start, end) for start, end in pairwise(edges) if end > start]


def _scores(block: FloatRows, queries: FloatRows, squares: bool) -> Scores:
    scores: Scores = queries @ block.T
    if squares:
        scores *= 2
        scores -= np.einsum("ij,ij->i", block, block)
    return scores
