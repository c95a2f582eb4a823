"""Exact search: blocked products and a running top k. The oracle of every recipe.

Rows are multiplied with the queries, not queries with the rows: BLAS is up to 1.4 times as fast in
this order. One pass over a block of scores then finds the best of each group of columns, and only
groups better than the k-th best so far are looked at again.
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

# scores of a block: 16 MB stay in the last-level cache; smaller blocks make BLAS threads wait more
_BLOCK_SCORES = 1 << 22
_LEAST_ROWS = 1024
# scores that are looked at in one block, be they all equal
_FEW_SCORES = 1 << 16
# numbers of rows fetched by position: 2 MB stay in cache until they are multiplied
_FETCHED = 1 << 19
# scores of a group; groups for each of the k best
_GROUP, _GROUPS = 32, 8
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
    depth = k + _SPARE if squares else k
    # argmax would first put the scores of many queries in another order
    best = top(1, depth) if len(queries) == 1 else TopK(len(queries), depth)
    total = len(rows) if positions is None else len(positions)
    most = total if positions is None else _FETCHED // max(1, rows.shape[1])
    spans = _spans(total, len(queries), most)
    widest = max((end - start for start, end in spans), default=0)
    buffer = np.empty((widest, len(queries)), dtype=np.float32)
    for start, end in spans:
        if positions is None:
            block = np.asarray(rows[start:end])
            scores = _score(block, queries, squares, buffer[: end - start])
            if mask is not None:
                scores[~mask[start:end]] = -np.inf
            best.offer(scores.T, start)
        else:
            part = positions[start:end]
            block = np.take(rows, part, axis=0)
            best.offer(_score(block, queries, squares, buffer[: end - start]).T, part)
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
    """Collects the best k of blocks of scores, each query's side by side in memory."""
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
        query, column = np.divmod(self._above(scores), scores.shape[1])
        if len(query):
            found = column + positions if isinstance(positions, int) else positions[column]
            self._merge(query, scores[query, column], found)

    def _above(self, scores: Scores) -> NDArray[np.intp]:
        """Flat places, ascending, of the scores that may be among the best k.

        Column c is in group c % groups. One pass finds the best of each group; only groups better
        than the k-th best so far, and no worse than the k-th best group, are looked at again.
        """
        queries, width = scores.shape
        groups = max(width // _GROUP, _GROUPS * self.k)
        groups = groups if 4 * groups < width else width
        best = scores if groups == width else _best_of_groups(scores, groups)
        least = self.scores[:, -1, None]
        above = best > least
        hot = np.flatnonzero(above)
        if len(hot) > _GROUPS * self.k * queries // 2:
            # so many scores are no less than the k-th best group
            least = np.partition(best, -self.k, axis=1)[:, -self.k, None]
            hot = np.flatnonzero(above & (best >= least))
        if groups == width or not len(hot):
            return hot
        query, column = np.divmod(hot[:, None], groups)
        column = column + np.arange(0, width, groups)
        inside = scores[query, np.minimum(column, width - 1)]
        kept = (column < width) & (inside > self.scores[query, -1]) & (inside >= least[query, 0])
        return np.sort((query * width + column)[kept])

    def _merge(
        self, query: NDArray[np.intp], scores: Scores, positions: NDArray[np.integer]
    ) -> None:
        counts = np.bincount(query, minlength=len(self.scores))
        better = np.flatnonzero(counts)
        first = np.cumsum(counts) - counts
        line, place = np.searchsorted(better, query), self.k + np.arange(len(query)) - first[query]
        width = self.k + int(counts.max())
        all_scores = np.full((len(better), width), -np.inf, dtype=np.float32)
        all_positions = np.full((len(better), width), -1, dtype=np.int64)
        all_scores[:, : self.k] = self.scores[better]
        all_positions[:, : self.k] = self.positions[better]
        all_scores[line, place] = scores
        all_positions[line, place] = positions
        order = np.argsort(-all_scores, axis=1, kind="stable")[:, : self.k]
        self.scores[better] = np.take_along_axis(all_scores, order, axis=1)
        self.positions[better] = np.take_along_axis(all_positions, order, axis=1)


def _spans(total: int, queries: int, most: int) -> list[tuple[int, int]]:
    """Blocks of rows; a small one comes first, so that of many equal scores few are kept."""
    size = max(_LEAST_ROWS, min(most, _BLOCK_SCORES // max(1, queries)))
    first = _LEAST_ROWS if total * queries > _FEW_SCORES else size
    edges = [0, min(first, total), *range(first + size, total, size), total]
    return [(start, end) for start, end in pairwise(edges) if end > start]


def _best_of_groups(scores: Scores, groups: int) -> Scores:
    queries, width = scores.shape
    rest = width % groups
    whole = scores[:, : width - rest].reshape(queries, -1, groups)
    best: Scores = whole.max(axis=1)
    if rest:
        np.maximum(best[:, :rest], scores[:, -rest:], out=best[:, :rest])
    return best


def _score(block: FloatRows, queries: FloatRows, squares: bool, out: Scores) -> Scores:
    np.matmul(block, queries.T, out=out)
    if squares:
        out *= 2
        out -= np.einsum("ij,ij->i", block, block)[:, None]
    return out
