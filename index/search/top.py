"""A running top k: the best scores of all blocks offered so far.

One pass over a block of scores finds the best of each group of columns, and only groups better
than the k-th best so far are looked at again.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]
Positions = NDArray[np.int64]

# scores of a group; groups for each of the k best
_GROUP, _GROUPS = 32, 8


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
        self.scores: NDArray[np.float32] = np.full((queries, 1), -np.inf, dtype=np.float32)
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
        self.scores: NDArray[np.float32] = np.full((queries, k), -np.inf, dtype=np.float32)
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


def _best_of_groups(scores: Scores, groups: int) -> Scores:
    queries, width = scores.shape
    rest = width % groups
    whole = scores[:, : width - rest].reshape(queries, -1, groups)
    best: Scores = whole.max(axis=1)
    if rest:
        np.maximum(best[:, :rest], scores[:, -rest:], out=best[:, :rest])
    return best
