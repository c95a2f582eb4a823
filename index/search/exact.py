"""Exact search: the answers of a full sort in float64, for all float32 rows.

Blocks of float32 products choose candidates, which are scored in float64. A bound on the error of
the products (see `bounds`) says whether a row that was not chosen could be among the best; where
it could, the queries concerned are searched once more, and every row that could is scored in
float64. Data that lie far from the origin are measured from their middle.

Under cosine the float32 products are the answer: rows are kept as unit vectors in float32, so
that cosines nearer than 1e-6 are not told apart anyway.

Rows are multiplied with the queries, not queries with the rows: BLAS is up to 1.4 times as fast in
this order.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.search.bounds import Numbers, longest_row
from index.search.candidates import rescore, score_each, score_pairs, true_scores
from index.search.frame import Frame, centre_of
from index.search.top import Positions, Scores, TopK, TopOne, best_of, top
from index.types import Metric

__all__ = ["Mask", "Positions", "Scores", "best_of", "rescore", "score_each", "search_exact"]

Mask = NDArray[np.bool_]

# scores of a block: 16 MB stay in the last-level cache; smaller blocks make BLAS threads wait more
_BLOCK_SCORES = 1 << 22
_LEAST_ROWS = 1024
# scores that are looked at in one block, be they all equal
_FEW_SCORES = 1 << 16
# numbers of rows that are copied: 2 MB stay in cache until they are multiplied
_COPIED = 1 << 19
# candidates beside the k best, so that few searches have to be made twice; more where k is large
_SPARE, _SPARE_SHARE = 8, 16
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
    """Scores (q, k), descending, ties by position, and positions int64 (q, k).

    Scores are float64 under l2 and dot, float32 under cosine. Missing hits are position -1 and
    score -inf.

    Args:
        rows: float32 (n, d), finite, scaled by the metric already; may be memory-mapped.
        queries: float32 (q, d), finite, scaled already.
        mask: (n,), rows that may be returned.
        positions: ascending, rows that may be returned; takes the place of `mask`.
    """
    chosen, count = _chosen(rows, mask, positions, len(queries))
    if metric is Metric.COSINE:
        best = _best_products(chosen, queries, top(len(queries), k))
        return best.scores, best.positions
    depth = k + _SPARE + k // _SPARE_SHARE
    if count <= depth:
        each = np.broadcast_to(chosen.named(), (len(queries), count))
        return best_of(true_scores(rows, queries, each, metric), each, k)
    return _search_surely(chosen, queries, k, depth, metric)


def _chosen(
    rows: FloatRows, mask: Mask | None, positions: NDArray[np.integer] | None, queries: int
) -> tuple["_Chosen", int]:
    """The rows that may be returned, by whichever costs less, and how many they are."""
    if positions is not None:
        return _Chosen(rows, None, positions), len(positions)
    if mask is None:
        return _Chosen(rows, None, None), len(rows)
    count = int(np.count_nonzero(mask))
    if count * (queries + _COPY_QUERIES) < len(rows) * (queries + 8):
        return _Chosen(rows, None, np.flatnonzero(mask)), count
    return _Chosen(rows, mask, None), count


class _Chosen:
    """Rows that may be returned, in blocks: all, those of a mask, or those at positions."""

    def __init__(
        self, rows: FloatRows, mask: Mask | None, positions: NDArray[np.integer] | None
    ) -> None:
        self.rows, self.mask, self.positions = rows, mask, positions
        self.total = len(rows) if positions is None else len(positions)

    def named(self) -> Positions:
        """Their positions, int64, ascending."""
        if self.positions is not None:
            return self.positions.astype(np.int64, copy=False)
        return np.arange(self.total) if self.mask is None else np.flatnonzero(self.mask)

    def blocks(
        self, queries: int, copied: bool
    ) -> Iterator[tuple[FloatRows, int | NDArray[np.integer], Mask | None]]:
        """Rows (b, d), the position of the first or of each, and which may be returned.

        Args:
            copied: whether the blocks will be copied, and should be small.
        """
        most = self.total
        if copied or self.positions is not None:
            most = _COPIED // max(1, self.rows.shape[1])
        for start, end in _spans(self.total, queries, most):
            if self.positions is None:
                allowed = None if self.mask is None else self.mask[start:end]
                yield np.asarray(self.rows[start:end]), start, allowed
            else:
                part = self.positions[start:end]
                yield np.take(self.rows, part, axis=0), part, None


def _best_products(chosen: _Chosen, queries: FloatRows, best: TopK | TopOne) -> TopK | TopOne:
    buffer = np.empty((0, len(queries)), dtype=np.float32)
    for block, where, allowed in chosen.blocks(len(queries), copied=False):
        buffer = _room(buffer, len(block))
        scores = np.matmul(block, queries.T, out=buffer[: len(block)])
        if allowed is not None:
            scores[~allowed] = -np.inf
        best.offer(scores.T, where)
    return best


def _search_surely(
    chosen: _Chosen, queries: FloatRows, k: int, depth: int, metric: Metric
) -> tuple[Scores, Positions]:
    """As `search_exact`, under l2 and dot, where there are more than `depth` rows."""
    squares = metric is Metric.L2
    centre = centre_of(chosen.rows, chosen.positions) if squares else None
    frame = Frame.of(queries, metric, centre)
    best = TopK(len(queries), depth)
    longest = _offer_all(chosen, frame, best)
    candidates = true_scores(chosen.rows, queries, best.positions, metric)
    scores, positions = best_of(candidates, best.positions, k)
    with np.errstate(invalid="ignore"):
        # no other row has a score above this; nan where products overflowed
        above = best.scores[:, -1] + frame.errors(longest) + frame.shifts
    again = np.flatnonzero(~(above < scores[:, -1]))
    if len(again):
        least = scores[again, -1]
        scores[again], positions[again] = _search_again(chosen, queries[again], k, least, metric)
    return scores, positions


def _offer_all(chosen: _Chosen, frame: Frame, best: TopK) -> float:
    """Offers the float32 scores of all rows; a length that no row exceeds."""
    count, longest = len(frame.queries), 0.0
    if not frame.squares:
        longest = longest_row(chosen.rows)
    buffer = np.empty((0, count), dtype=np.float32)
    for block, where, allowed in chosen.blocks(count, copied=frame.centre is not None):
        buffer = _room(buffer, len(block))
        scores = buffer[: len(block)]
        longest = max(longest, frame.score(block, scores))
        if allowed is not None:
            scores[~allowed] = -np.inf
        best.offer(scores.T, where)
    return longest


def _search_again(
    chosen: _Chosen, queries: FloatRows, k: int, least: Numbers, metric: Metric
) -> tuple[Numbers, Positions]:
    """Scores and positions (q, k) of the best among all rows whose score may be `least` (q,)."""
    frame = Frame.of(queries, metric, centre_of(chosen.rows, chosen.positions))
    scores = np.full((len(queries), k), -np.inf)
    positions = np.full((len(queries), k), -1, dtype=np.int64)
    least = least.copy()
    for block, where, allowed in chosen.blocks(len(queries), copied=True):
        near = frame.near(block, least)
        if allowed is not None:
            near &= allowed[:, None]
        for query in np.flatnonzero(near.any(axis=0)).tolist():
            rows = np.flatnonzero(near[:, query])
            wide = queries[query].astype(np.float64)
            own = score_pairs(block[rows].astype(np.float64), wide, metric)
            names = rows + where if isinstance(where, int) else where[rows]
            every = np.concatenate([scores[query], own])
            # positions ascend from block to block, so a stable sort breaks ties by them
            order = np.argsort(-every, kind="stable")[:k]
            scores[query] = every[order]
            positions[query] = np.concatenate([positions[query], names])[order]
            least[query] = max(least[query], scores[query, -1])
    return scores, positions


def _room(buffer: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """The buffer, or a larger one."""
    if len(buffer) >= rows:
        return buffer
    return np.empty((rows, buffer.shape[1]), dtype=np.float32)


def _spans(total: int, queries: int, most: int) -> list[tuple[int, int]]:
    """Blocks of rows; a small one comes first, so that of many equal scores few are kept."""
    size = max(_LEAST_ROWS, min(most, _BLOCK_SCORES // max(1, queries)))
    first = _LEAST_ROWS if total * queries > _FEW_SCORES else size
    edges = [0, min(first, total), *range(first + size, total, size), total]
    return [(start, end) for start, end in pairwise(edges) if end > start]
