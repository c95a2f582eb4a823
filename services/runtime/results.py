"""Hits rearranged: cut, picked from, put one after the other. All columns go together."""

from collections.abc import Collection as Container
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.types import Hits, Points


def no_hits(queries: int) -> Hits:
    """Nothing for each query."""
    return Hits(Points([]), np.empty(0, np.float32), np.zeros(queries, np.int64))


def picked(hits: Hits, places: slice | Sequence[int], counts: NDArray[np.int64]) -> Hits:
    """The hits at some places, in this order, as those of queries with these counts."""
    points = hits.points
    chosen = Points(
        _at(points.ids, places),
        _at(points.vectors, places),
        _at(points.payloads, places),
        _at(points.modalities, places),
    )
    return Hits(chosen, _at(hits.scores, places), counts, hits.plan, _at(hits.values, places))


def one_query(hits: Hits, places: slice | Sequence[int]) -> Hits:
    """The hits at some places, as those of one query."""
    found = picked(hits, places, hits.counts)
    return replace(found, counts=np.array([len(found.scores)], np.int64))


def without_vectors(hits: Hits) -> Hits:
    """The same hits, for a caller who did not ask for vectors."""
    return replace(hits, points=replace(hits.points, vectors=None))


def split_hits(hits: Hits, sizes: Sequence[int]) -> list[Hits]:
    """Hits of consecutive groups of queries."""
    ends = np.concatenate([[0], np.cumsum(hits.counts)])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return [
        picked(hits, slice(int(ends[low]), int(ends[high])), hits.counts[low:high])
        for low, high in pairwise(bounds)
    ]


def trim(hits: Hits, left_out: Sequence[Container[str]], k: int, offset: int) -> Hits:
    """Hits [offset, offset + k) of each query, without the ids left out."""
    keep: list[int] = []
    counts = np.zeros(len(hits.counts), np.int64)
    start = 0
    for i, count in enumerate(hits.counts):
        places = range(start, start + int(count))
        mine = [p for p in places if hits.points.ids[p] not in left_out[i]][offset : offset + k]
        keep += mine
        counts[i] = len(mine)
        start += int(count)
    return picked(hits, keep, counts)


def joined(parts: Sequence[Hits]) -> Hits:
    """Hits of queries one after the other; the plan is that of the first."""
    points = [part.points for part in parts]
    return Hits(
        Points(
            _chain([part.ids for part in points]),
            _rows([part.vectors for part in points]),
            _chain([part.payloads for part in points]),
            _chain([part.modalities for part in points]),
        ),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.counts for part in parts]),
        parts[0].plan,
        _chain([part.values for part in parts]),
    )


def _at(column: Any, places: slice | Sequence[int]) -> Any:
    if column is None or isinstance(places, slice):
        return None if column is None else column[places]
    if isinstance(column, np.ndarray):
        return column[np.asarray(places, np.intp)]
    return [column[place] for place in places]


def _chain(columns: Sequence[Any]) -> Any:
    given = [column for column in columns if column is not None]
    return list(chain.from_iterable(given)) if given else None


def _rows(columns: Sequence[Any]) -> Any:
    given = [column for column in columns if column is not None]
    return np.concatenate(given) if given else None
