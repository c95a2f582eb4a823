"""How one segment is searched. A collection asks for each of its segments

    segment = Segment(id, rows, index, selection)
    scores, positions, plan = search_segment(segment, total, queries, k, metric, params)

and merges. `selection` says which rows may be returned, tombstones and filter alike; None means
all of them. A selection is served in one of these ways:

- exact: the selected rows are scored, where that costs least;
- graph or lists: the index is searched with more effort and skips what is not selected, where
  the rows around the query are mostly selected, or some of them everywhere;
- else, among the selected rows alone: walk (seeds from the nearest coarse lists, then along the
  graph's links between selected rows), lists (those nearest that hold selected rows), or scan
  (coarse lists, where the index offers neither).

Coarse lists tell what is selected around each query, so a filter that goes with the vectors (all
of one topic) is noticed, whether the query lies in it or not.

The constants are from `OPENBLAS_NUM_THREADS=1 python -m benchmarks.filtered --vectors FILE` on
500,000 MiniLM vectors of 384 numbers, with filters that leave 90 % to 0.01 %, random and of k-means
cells, the query inside and outside:

| recipe | unfiltered: batch, single; recall@10 | filtered: at most times; recall@10 at least |
|---|---|---|
| hnsw | 1.80 ms, 1.97 ms; 0.967 | 2.9 in batches, 3.2 singly; 0.951 |
| ivf_pq | 0.25 ms, 0.92 ms; 0.959 | 2.6 in batches, 4.1 singly; 0.943 |

The lowest recall is that of queries outside a cell of a third or a fifth of the rows; with random
filters it is 0.973 and 0.950. All of that is from when lists were searched with 1.5 times the
effort wherever rows were left out. More where what is selected lies to one side took single
queries of half of 20,000 rows in 1,000 clusters from 0.913 to 0.987 (ivf_pq), at 1.3 times the
processor time. Twelve graphs of 8,000 rows at ef 37 found what one of 96,000 found
at ef 128 (0.998 and 0.997), for 1.4 times the time; hence the root in `share`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray
from index.columns.selection import Selection
from index.recipes.base import SegmentIndex
from index.search.exact import Positions, Scores, search_exact
from index.search.frame import beyond_float32
from index.search.lists import CoarseLists
from index.search.scan import listed, scan_lists, shares_around
from index.search.walk import walk_all
from index.types import Metric, SearchParameters, SegmentPlan

Result = tuple[Scores, Positions, SegmentPlan]

# microseconds at 384 numbers a row: to fetch a selected row, to score it for one query of many,
# and to serve one query by the other ways, which besides has a cost of its own at any dimension
_FETCH_US, _SCORE_US, _OTHER_US, _CALL_US = 0.3, 0.012, 500.0, 300.0
# selected rows scored for each query where there is no graph and lists cannot be chosen, and those
# that chosen lists hold at least
_SCAN_ROWS, _LISTS_ROWS = 5000, 1500
# the index serves a query if of the rows in the nearest lists so many are selected, or if they
# are spread evenly: no list has less than this part of the share of all, or than this share
_AROUND_LISTS = 8
_DENSE, _EVEN, _LEAST, _LEAST_IN_LISTS = 0.7, 0.4, 0.12, 0.15
# so much more effort where some rows are not selected; where lists are searched, over the share of
# rows that are, if the list with the least has less than this part of it; then up to a step
_WIDER, _LEANING = 1.5, 0.8
_STEPS = (1.75, 2.0, 3.0, 4.5)
# so many more rows kept on a walk, and lists visited where they are chosen
_WALK, _PROBES = 1.9, 3.5


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as a search sees it.

    Args:
        id: for the plan.
        rows: float32 (n, d), scaled; may be memory-mapped.
        index: None while it grows or is built: searched exactly.
        selection: rows that may be returned, of the n; None means all.
        least: what a search that names no effort uses at least, however small its share.
    """

    id: int
    rows: FloatRows
    index: SegmentIndex | None = None
    selection: Selection | None = None
    least: SearchParameters = SearchParameters()

    @property
    def count(self) -> int:
        """Rows that may be returned."""
        return len(self.rows) if self.selection is None else self.selection.count


def search_segment(
    segment: Segment,
    total: int,
    queries: FloatRows,
    k: int,
    metric: Metric,
    params: SearchParameters,
) -> Result:
    """Scores float32 (q, k), descending, positions int64 (q, k), and how they were found.

    Missing hits are position -1 and score -inf. Safe in many threads.

    Args:
        total: rows of all segments; `params` are the effort for all of them together.
        queries: float32 (q, d), scaled already.
    """
    started = time.perf_counter_ns()
    effort = share(segment, total, k, params)
    scores, positions, plan = _Search(segment, effort, queries, k, metric).run()
    return scores, positions, replace(plan, search_ns=time.perf_counter_ns() - started)


def share(segment: Segment, total: int, k: int, params: SearchParameters) -> SearchParameters:
    """A segment's share of an effort meant for `total` rows: by the root of its share of rows.

    A recipe's own `nprobe` is a share of the segment's own lists already. What the caller leaves to
    the recipe is no less than what was measured to be enough for this segment.
    """
    if segment.index is None or params.exact:
        return SearchParameters(exact=True)
    default, least = segment.index.default_search, segment.least
    scale = (len(segment.rows) / max(1, total)) ** 0.5
    ef = _part(params.ef, default.ef, least.ef, scale)
    rerank = _part(params.rerank, default.rerank, least.rerank, scale)
    probes = max(default.nprobe, least.nprobe)
    return SearchParameters(
        ef=max(k, ef) if ef else 0,
        nprobe=ceil(params.nprobe * scale) if params.nprobe else probes,
        rerank=max(k, rerank) if rerank else 0,
        exact=default.exact,
    )


def _part(named: int, default: int, least: int, scale: float) -> int:
    return ceil(named * scale) if named else max(least, ceil(default * scale))


@dataclass(frozen=True, slots=True)
class _Around:
    """Shares of selected rows in the lists nearest to each query, float64 (q,): of all the rows in
    those lists, and in the list that has the least."""

    share: NDArray[np.float64]
    least: NDArray[np.float64]

    @classmethod
    def of(cls, lists: CoarseLists, nearness: FloatRows, mask: NDArray[np.bool_]) -> "_Around":
        """Of queries by their nearness float32 (q, lists) to the lists' centres."""
        shares = [shares_around(lists, row, mask, _AROUND_LISTS) for row in nearness]
        return cls(*np.array(shares, dtype=np.float64).T)


@dataclass(frozen=True, slots=True)
class _Search:
    segment: Segment
    effort: SearchParameters
    queries: FloatRows
    k: int
    metric: Metric

    def run(self) -> Result:
        index, chosen = self.segment.index, self.segment.selection
        if index is None or self.effort.exact or self.segment.count == 0:
            return self._exact()
        beyond = beyond_float32(self.queries, self.metric)
        if beyond.any():
            return self._parted(
                np.where(beyond, 0.0, 1.0),
                lambda part, way, _: part.run() if way else part._exact(),
            )
        if chosen is None or chosen.count == len(self.segment.rows):
            return self._indexed(index, None, self.effort)
        if index.lists is None or exact_is_cheaper(chosen.count, *self.queries.shape):
            return self._exact()
        return self._filtered(index, index.lists, chosen)

    def _exact(self) -> Result:
        chosen, rows = self.segment.selection, self.segment.rows
        if chosen is None:
            found = search_exact(rows, self.queries, self.k, self.metric)
        elif chosen.sparse:
            places = chosen.positions()
            found = search_exact(rows, self.queries, self.k, self.metric, positions=places)
        else:
            found = search_exact(rows, self.queries, self.k, self.metric, mask=chosen.mask())
        return *found, SegmentPlan(self.segment.id, "exact", self.segment.count)

    def _indexed(
        self, index: SegmentIndex, mask: NDArray[np.bool_] | None, effort: SearchParameters
    ) -> Result:
        found = index.search(self.queries, self.k, effort, mask)
        plan = SegmentPlan(
            self.segment.id, index.method, self.segment.count, effort.ef, effort.nprobe
        )
        return *found, plan

    def _filtered(self, index: SegmentIndex, lists: CoarseLists, chosen: Selection) -> Result:
        nearness = lists.nearness(self.queries)
        around = _Around.of(lists, nearness, chosen.mask())
        whole = self._served_whole(index, around)
        factors = np.where(whole, _widening(index, around), 0.0)

        def serve(part: _Search, factor: float, members: NDArray[np.bool_]) -> Result:
            if not factor:
                return part._selected(index, lists, nearness[members], chosen)
            return part._indexed(index, chosen.mask(), widened(self.effort, factor))

        return self._parted(factors, serve)

    def _parted(
        self,
        ways: NDArray[np.float64],
        serve: Callable[["_Search", float, NDArray[np.bool_]], Result],
    ) -> Result:
        """The queries of each way (q,) served together; the plan of the least way's.

        A query's hits so depend on none of the queries beside it.
        """
        scores = np.empty((len(self.queries), self.k))
        positions = np.empty(scores.shape, dtype=np.int64)
        plans = []
        for way in np.unique(ways).tolist():
            members = ways == way
            part = self if members.all() else replace(self, queries=self.queries[members])
            scores[members], positions[members], plan = serve(part, way, members)
            plans.append(plan)
        return scores, positions, plans[0]

    def _served_whole(self, index: SegmentIndex, around: _Around) -> NDArray[np.bool_]:
        """Which queries the index can serve by skipping what is not selected."""
        if not index.filters:
            return np.zeros(len(self.queries), dtype=np.bool_)
        floor = _LEAST_IN_LISTS if index.method == "lists" else _LEAST
        even = around.least >= np.maximum(_EVEN * around.share, floor)
        return np.asarray((around.share >= _DENSE) | even)

    def _selected(
        self, index: SegmentIndex, lists: CoarseLists, nearness: FloatRows, chosen: Selection
    ) -> Result:
        """Looks among the selected rows alone."""
        rows, queries, k = self.segment.rows, self.queries, self.k
        plan = SegmentPlan(self.segment.id, "scan", chosen.count)
        source = listed(lists, chosen, len(queries))
        if index.method == "lists" and index.filters:
            probes = ceil(_PROBES * self.effort.nprobe)
            lists_of = _padded([source.lists_for(one, probes, _LISTS_ROWS) for one in nearness])
            found = index.search_lists(queries, k, self.effort, chosen.mask(), lists_of)
            return *found, replace(plan, method="lists", nprobe=lists_of.shape[1])
        if index.links is None:
            return *scan_lists(rows, lists, source, queries, nearness, k, _SCAN_ROWS), plan
        ef, mask = max(ceil(_WALK * self.effort.ef), k), chosen.mask()
        found = walk_all(rows, index.links, source, mask, queries, nearness, k, ef, self.metric)
        return *found, replace(plan, method="walk", ef=ef)


def exact_is_cheaper(count: int, queries: int, dim: int) -> bool:
    """Whether scoring every selected row costs less than serving each query another way."""
    scale = dim / 384
    exact = count * (_FETCH_US + queries * _SCORE_US) * scale
    return exact < queries * (_CALL_US + _OTHER_US * scale)


def _widening(index: SegmentIndex, around: _Around) -> NDArray[np.float64]:
    """How much more effort each query takes where the index skips what is not selected, (q,).

    Selected rows that lie to one side of a query are farther than as many spread evenly, and in
    more lists; a graph comes to them by itself. In steps, so that queries are searched together.
    """
    if index.method != "lists":
        return np.full(len(around.share), _WIDER)
    leaning = around.least < _LEANING * around.share
    needed = _WIDER / np.where(leaning, around.share, 1.0)
    steps = np.array(_STEPS)
    return steps[np.minimum(np.searchsorted(steps, needed), len(steps) - 1)]


def widened(effort: SearchParameters, factor: float) -> SearchParameters:
    """More effort where a part of what it finds is not selected."""
    return replace(
        effort,
        ef=ceil(effort.ef * factor),
        nprobe=ceil(effort.nprobe * factor),
        rerank=ceil(effort.rerank * factor),
    )


def _padded(parts: list[IndexArray]) -> NDArray[np.int64]:
    """One row a part; FAISS passes over lists of number -1."""
    rows = np.full((len(parts), max(len(part) for part in parts)), -1, dtype=np.int64)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return rows
