"""How one segment is searched. A collection asks for each of its segments

    segment = Segment(id, rows, index, selection)
    scores, positions, plan = search_segment(segment, total, queries, k, metric, params)

and merges. `selection` says which rows may be returned, tombstones and filter alike; None means
all of them. A selection is answered in one of four ways:

| method | what is done | chosen where |
|---|---|---|
| exact | the selected rows are scored | that costs less than the others |
| graph, lists | the index is searched, skipping what is not selected, with widened effort | the \
rows around the query are mostly selected |
| scan | selected rows are scored from the nearest coarse lists outwards | else |

Which rows around a query are selected is asked of the coarse lists, query by query, so a filter
that goes with the vectors (all of one topic) is noticed, whether the query lies in it or not.
"""

import time
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.exact import Positions, Scores, search_exact
from index.lists import CoarseLists
from index.recipes.base import SegmentIndex
from index.scan import local_share, scan_lists
from index.selection import Selection
from index.types import Metric, SearchParameters, SegmentPlan

Result = tuple[Scores, Positions, SegmentPlan]

# microseconds at 384 numbers a row: to fetch a selected row, to score it for one query of many,
# and one query's scan; the last two grow with the dimension, the first as well
_FETCH_US, _SCORE_US, _SCAN_US = 0.2, 0.006, 650.0
# rows a scan scores for each query: more where fewer of many rows are selected
_SCAN_ROWS = 2500
# the share of selected rows around a query from which the index is searched, and on how many
# lists it is judged
_DENSE = 0.4
_AROUND_LISTS = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as a search sees it.

    Args:
        id: for the plan.
        rows: float32 (n, d), scaled; may be memory-mapped.
        index: None while it grows or is built: searched exactly.
        selection: rows that may be returned, of the n; None means all.
    """

    id: int
    rows: FloatRows
    index: SegmentIndex | None = None
    selection: Selection | None = None

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

    A recipe's own `nprobe` is a share of the segment's own lists already.
    """
    if segment.index is None or params.exact:
        return SearchParameters(exact=True)
    effort = params.over(segment.index.default_search)
    scale = (len(segment.rows) / max(1, total)) ** 0.5
    probes = ceil(params.nprobe * scale) if params.nprobe else effort.nprobe
    return SearchParameters(
        ef=max(k, ceil(effort.ef * scale)) if effort.ef else 0,
        nprobe=probes,
        rerank=max(k, ceil(effort.rerank * scale)) if effort.rerank else 0,
        exact=effort.exact,
    )


@dataclass(frozen=True, slots=True)
class _Search:
    segment: Segment
    effort: SearchParameters
    queries: FloatRows
    k: int
    metric: Metric

    def run(self) -> Result:
        index, chosen = self.segment.index, self.segment.selection
        if index is None or self.effort.exact:
            return self._exact()
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
        mask = chosen.mask()
        around = np.array([local_share(lists, one, mask, _AROUND_LISTS) for one in nearness])
        dense = around >= _DENSE if index.filters else np.zeros(len(around), dtype=np.bool_)
        if dense.all():
            return self._indexed(index, mask, widened(self.effort, float(around.min())))
        scores = np.empty((len(self.queries), self.k), dtype=np.float32)
        positions = np.empty(scores.shape, dtype=np.int64)
        plan = SegmentPlan(self.segment.id, "scan", chosen.count)
        if dense.any():
            part = replace(self, queries=self.queries[dense])
            effort = widened(self.effort, float(around[dense].min()))
            scores[dense], positions[dense], plan = part._indexed(index, mask, effort)
        sparse = ~dense
        scores[sparse], positions[sparse] = scan_lists(
            self.segment.rows,
            lists,
            self.queries[sparse],
            nearness[sparse],
            self.k,
            chosen,
            _SCAN_ROWS,
        )
        return scores, positions, plan


def exact_is_cheaper(count: int, queries: int, dim: int) -> bool:
    """Whether scoring every selected row costs less than scanning lists for each query."""
    scale = dim / 384
    exact = count * (_FETCH_US + queries * _SCORE_US) * scale
    return exact < queries * _SCAN_US * scale


def widened(effort: SearchParameters, share_around: float) -> SearchParameters:
    """More effort where a part of what it finds is not selected."""
    factor = 1 / max(share_around, _DENSE)
    return replace(
        effort,
        ef=ceil(effort.ef * factor) if effort.ef else 0,
        nprobe=ceil(effort.nprobe * factor) if effort.nprobe else 0,
    )
