"""Filtered search over coarse lists: from the nearest centres outwards, rows that pass are scanned
exactly until enough of them have been. Works wherever the filter's rows lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.exact import Positions, Scores, best_of, score_each
from index.lists import CoarseLists
from index.selection import Selection

# with fewer rows selected, sorting them by list costs less than asking the mask list by list
_SORTED_ROWS = 12_000


def scan_lists(
    rows: FloatRows,
    lists: CoarseLists,
    queries: FloatRows,
    nearness: FloatRows,
    k: int,
    selection: Selection,
    least: int,
) -> tuple[Scores, Positions]:
    """Scores float32 (q, k), descending, and positions int64 (q, k), -1 and -inf where missing.

    Args:
        nearness: float32 (q, lists), of the centres to the queries.
        selection: rows that may be returned.
        least: at least so many of them are scored for each query, list by list.
    """
    source = Listed(lists, selection)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    positions = np.full((len(queries), k), -1, dtype=np.int64)
    for number, query in enumerate(queries):
        found = source.nearest(nearness[number], least)
        if not len(found):
            continue
        own = score_each(rows, query[None, :], found[None, :], lists.metric)[0]
        best = np.argpartition(-own, k)[:k] if len(own) > k else np.arange(len(own))
        scores[number, : len(best)] = own[best]
        positions[number, : len(best)] = found[best]
    return best_of(scores, positions, k)


class Listed:
    """Selected rows by list."""

    def __init__(self, lists: CoarseLists, selection: Selection) -> None:
        self._few = selection.count < _SORTED_ROWS
        self._lists, self._count = len(lists.centers), selection.count
        if self._few:
            positions = selection.positions()
            labels = lists.labels[positions]
            self._order: NDArray[Any] = positions[np.argsort(labels, kind="stable")]
            sizes = np.bincount(labels, minlength=self._lists)
            self._starts = np.concatenate([[0], np.cumsum(sizes)])
        else:
            self._order, self._starts, self._mask = lists.order, lists.starts, selection.mask()

    def nearest(self, nearness: NDArray[np.float32], least: int) -> NDArray[Any]:
        """Selected rows of the nearest lists that together hold at least `least` of them."""
        if self._few:
            nearness = np.where(np.diff(self._starts) > 0, nearness, -np.inf)
        ranked = np.argsort(-nearness)
        found: list[NDArray[Any]] = []
        have = begin = 0
        step = max(4, self._lists * least // max(1, self._count))
        while have < least and begin < self._lists:
            part = self._rows(ranked[begin : begin + step])
            found.append(part)
            have += len(part)
            begin += step
            step = max(4, step // 2 if have * 2 > least else step)
        return np.concatenate(found)

    def _rows(self, chosen: NDArray[np.intp]) -> NDArray[Any]:
        firsts, lasts = self._starts[chosen], self._starts[chosen + 1]
        lengths = lasts - firsts
        ramp = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        part: NDArray[Any] = self._order[np.repeat(firsts, lengths) + ramp]
        return part if self._few else part[self._mask[part]]


def local_share(
    lists: CoarseLists, nearness: NDArray[np.float32], mask: NDArray[np.bool_], nearest: int
) -> float:
    """Share of selected rows in the lists nearest to a query."""
    count = min(nearest, len(lists.centers))
    chosen = np.argpartition(-nearness, count - 1)[:count]
    spans = [lists.order[lists.starts[one] : lists.starts[one + 1]] for one in chosen.tolist()]
    around = np.concatenate(spans)
    return float(np.count_nonzero(mask[around])) / max(1, len(around))
