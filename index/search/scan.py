"""Filtered search over coarse lists: from the nearest centres outwards, selected rows are scored
exactly until enough of them have been. Works wherever the selected rows lie."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray
from index.columns.selection import Selection
from index.search.exact import Positions, Scores, best_of, score_each
from index.search.lists import CoarseLists

# sorting a selected row by its list costs about as much as asking the mask of so many rows
_SORT_ROWS = 6
_MASKED_QUERIES = 4
_FEWEST_LISTS = 16
_SAMPLED_ROWS = 64


class Listed:
    """The selected rows, list after list: for many queries or few selected rows."""

    def __init__(self, lists: CoarseLists, selection: Selection) -> None:
        self._lists, self._selection = lists, selection
        if selection.count * _SORT_ROWS < selection.rows:
            labels = lists.labels[selection.positions()]
            self._sizes = np.bincount(labels, minlength=len(lists.centers))
        else:
            self._sizes = _sums(selection.mask()[lists.order], np.diff(lists.starts))
        self._starts = np.cumsum(self._sizes) - self._sizes

    @cached_property
    def _order(self) -> NDArray[Any]:
        # sorted when asked for: an index that is told its lists never asks
        lists, selection = self._lists, self._selection
        if selection.count * _SORT_ROWS < selection.rows:
            positions = selection.positions()
            return positions[np.argsort(lists.labels[positions], kind="stable")]
        order: NDArray[Any] = lists.order[selection.mask()[lists.order]]
        return order

    def lists_for(self, nearness: NDArray[np.float32], count: int, least: int) -> IndexArray:
        """The nearest lists with selected rows: `count` of them, and more until they hold
        `least` such rows."""
        return _nearest_lists(self._sizes, nearness, count, least)

    def nearest(self, nearness: NDArray[np.float32], least: int) -> Positions:
        """Selected rows of the nearest lists that together hold at least `least` of them."""
        chosen = self.lists_for(nearness, 1, least)
        places = _ranges(self._starts[chosen], self._sizes[chosen])
        return self._order[places].astype(np.int64, copy=False)


class Masked:
    """As `Listed`, asking the mask: for one query and many selected rows."""

    def __init__(self, lists: CoarseLists, selection: Selection) -> None:
        self._lists, self._mask = lists, selection.mask()
        self._lists_per_row = len(lists.centers) / max(1, selection.count)

    def lists_for(self, nearness: NDArray[np.float32], count: int, least: int) -> IndexArray:
        """See `Listed.lists_for`, nearly: from estimates."""
        ranked = np.argsort(-nearness)
        found = np.empty(0, dtype=np.intp)
        have = begin = 0
        while (have < least or len(found) < count) and begin < len(ranked):
            step = max(_FEWEST_LISTS, count // 2)
            chosen = ranked[begin : begin + step]
            sizes = self._selected(chosen)
            found = np.concatenate([found, chosen[sizes > 0]])
            have, begin = have + int(sizes.sum()), begin + step
        return found

    def nearest(self, nearness: NDArray[np.float32], least: int) -> Positions:
        """`least` selected rows of the nearest lists."""
        ranked = np.argsort(-nearness)
        found: list[NDArray[np.int32]] = []
        have = begin = 0
        while have < least and begin < len(ranked):
            step = max(_FEWEST_LISTS, int((least - have) * self._lists_per_row), begin)
            chosen = ranked[begin : begin + step]
            starts = self._lists.starts[chosen]
            rows = self._lists.order[_ranges(starts, self._lists.starts[chosen + 1] - starts)]
            rows = rows[self._mask[rows]]
            found.append(rows[: least - have])
            have, begin = have + len(found[-1]), begin + step
        return np.concatenate(found).astype(np.int64)

    def _selected(self, chosen: IndexArray) -> NDArray[np.int64]:
        """Selected rows of each of these lists, estimated from a few rows of each."""
        starts = self._lists.starts[chosen]
        sizes = self._lists.starts[chosen + 1] - starts
        places = starts[:, None] + sizes[:, None] * np.arange(_SAMPLED_ROWS) // _SAMPLED_ROWS
        places = np.minimum(places, len(self._lists.order) - 1)
        hits = np.count_nonzero(self._mask[self._lists.order[places]], axis=1)
        return np.asarray(sizes * hits // _SAMPLED_ROWS)


def listed(lists: CoarseLists, selection: Selection, queries: int) -> Listed | Masked:
    """Whichever is the cheaper for so many queries."""
    if queries < _MASKED_QUERIES and selection.count * _SORT_ROWS >= selection.rows:
        return Masked(lists, selection)
    return Listed(lists, selection)


def scan_lists(
    rows: FloatRows,
    lists: CoarseLists,
    source: Listed | Masked,
    queries: FloatRows,
    nearness: FloatRows,
    k: int,
    least: int,
) -> tuple[Scores, Positions]:
    """Scores float32 (q, k), descending, and positions int64 (q, k), -1 and -inf where missing.

    Args:
        nearness: float32 (q, lists), of the centres to the queries.
        least: at least so many selected rows are scored for each query, list by list.
    """
    scores: Scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    positions = np.full((len(queries), k), -1, dtype=np.int64)
    for number, query in enumerate(queries):
        found = source.nearest(nearness[number], least)
        own = score_each(rows, query[None, :], found[None, :], lists.metric)[0]
        best = np.argpartition(-own, k)[:k] if len(own) > k else np.arange(len(own))
        scores[number, : len(best)] = own[best]
        positions[number, : len(best)] = found[best]
    return best_of(scores, positions, k)


def shares_around(
    lists: CoarseLists, nearness: NDArray[np.float32], mask: NDArray[np.bool_], nearest: int
) -> tuple[float, float]:
    """Share of selected rows in the lists nearest to a query: of all of them, the least of one."""
    count = min(nearest, len(lists.centers))
    chosen = np.argpartition(-nearness, count - 1)[:count]
    sizes = lists.starts[chosen + 1] - lists.starts[chosen]
    each = _sums(mask[lists.order[_ranges(lists.starts[chosen], sizes)]], sizes)
    share = each[sizes > 0] / sizes[sizes > 0]
    return float(each.sum() / max(1, sizes.sum())), float(share.min(initial=1.0))


def _sums(chosen: NDArray[np.bool_], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many are true in each of the runs of these sizes."""
    sums = np.zeros(len(sizes), dtype=np.int64)
    some = np.flatnonzero(sizes)
    if len(some):
        starts = (np.cumsum(sizes) - sizes)[some]
        sums[some] = np.add.reduceat(chosen, starts, dtype=np.int64)
    return sums


def _nearest_lists(
    sizes: NDArray[np.int64], nearness: NDArray[np.float32], count: int, least: int
) -> IndexArray:
    some = np.flatnonzero(sizes)
    ranked = some[np.argsort(-nearness[some])]
    needed = int(np.searchsorted(np.cumsum(sizes[ranked]), least)) + 1
    return ranked[: max(count, needed)]


def _ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> IndexArray:
    """Every number of every range, one range after the other."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
