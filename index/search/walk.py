"""Filtered search on a graph's selected part: from seeds that pass the filter along links to rows
that pass. For filters that go with the vectors, whose rows are linked among themselves, where a
plain filtered graph search would spend its effort on rows around the query that do not pass."""

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.search.exact import Positions, Scores, best_of, score_each
from index.search.scan import Listed, Masked
from index.types import Metric

_AT_ONCE = 16
_SEEDS, _SEEDS_SPARSE, _SPARSE = 8, 12, 8


class Links:
    """Level 0 of an HNSW graph, read where FAISS keeps it.

    Args:
        neighbors: int32, of all levels; -1 where there is none.
        offsets: (n + 1,), where each row's begin; level 0 comes first.
        width: links of a row on level 0.
    """

    def __init__(
        self, neighbors: NDArray[np.int32], offsets: NDArray[np.uint64], width: int
    ) -> None:
        self._neighbors, self._offsets = neighbors, offsets
        self._columns = np.arange(width)

    def of(self, positions: Positions) -> NDArray[np.int32]:
        """Rows that these are linked to, int32, some of them more than once."""
        firsts = self._offsets[positions].astype(np.int64)
        near: NDArray[np.int32] = self._neighbors[firsts[:, None] + self._columns].ravel()
        return near[near >= 0]


def walk_all(
    rows: FloatRows,
    links: Links,
    source: Listed | Masked,
    mask: NDArray[np.bool_],
    queries: FloatRows,
    nearness: FloatRows,
    k: int,
    ef: int,
    metric: Metric,
) -> tuple[Scores, Positions]:
    """Scores float32 (q, k), descending, and positions int64 (q, k), -1 and -inf where missing.

    Args:
        source: where the seeds of each query come from.
        nearness: float32 (q, lists), of the centres to the queries.
    """
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    positions = np.full((len(queries), k), -1, dtype=np.int64)
    # where few rows are selected their links lead astray, and seeds must do more of the work
    sparse = np.count_nonzero(mask) * _SPARSE < len(mask)
    seeds_wanted = ef * (_SEEDS_SPARSE if sparse else _SEEDS)
    for number in range(len(queries)):
        seeds = source.nearest(nearness[number], seeds_wanted)
        query = queries[number : number + 1]
        own, found = walk(rows, links, mask, query, seeds, max(ef, k), metric)
        scores[number, : len(own)] = own[:k]
        positions[number, : len(own)] = found[:k]
    return best_of(scores, positions, k)


def walk(
    rows: FloatRows,
    links: Links,
    mask: NDArray[np.bool_],
    query: FloatRows,
    seeds: Positions,
    ef: int,
    metric: Metric,
) -> tuple[Scores, Positions]:
    """The best of what was seen, scores (c,), descending, and positions (c,); c at most `ef`.

    Args:
        mask: (n,), rows that may be visited.
        query: float32 (1, d).
        seeds: int64 (s,), distinct rows that may be visited.
        ef: rows kept while walking.
    """
    fresh = mask.copy()
    fresh[seeds] = False
    positions = seeds
    scores = score_each(rows, query, seeds[None, :], metric)[0]
    expanded = np.zeros(len(seeds), dtype=np.bool_)
    while True:
        order = np.argsort(-scores)[:ef]
        scores, positions, expanded = scores[order], positions[order], expanded[order]
        chosen = np.flatnonzero(~expanded)[:_AT_ONCE]
        if not len(chosen):
            return scores, positions
        expanded[chosen] = True
        linked = links.of(positions[chosen])
        near = np.unique(linked[fresh[linked]]).astype(np.int64)
        fresh[near] = False
        scores = np.concatenate([scores, score_each(rows, query, near[None, :], metric)[0]])
        positions = np.concatenate([positions, near])
        expanded = np.concatenate([expanded, np.zeros(len(near), dtype=np.bool_)])
