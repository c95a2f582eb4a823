"""How one segment is searched. A collection asks for each of its segments

    segment = Segment(id, rows, index, selection)
    scores, positions, plan = search_segment(segment, total, queries, k, metric, params)

and merges. `selection` says which rows may be returned, tombstones and filter alike; None means
all of them.
"""

import time
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.exact import search_exact
from index.recipes.base import SegmentIndex
from index.selection import Selection
from index.types import Metric, SearchParameters, SegmentPlan

Result = tuple[NDArray[np.float32], NDArray[np.int64], SegmentPlan]


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

    Missing hits are position -1 and score -inf. The plan is safe in many threads.

    Args:
        total: rows of all segments; `params` are the effort for all of them together.
        queries: float32 (q, d), scaled already.
    """
    started = time.perf_counter_ns()
    scores, positions, plan = _search(segment, share(segment, total, k, params), queries, k, metric)
    return scores, positions, replace(plan, search_ns=time.perf_counter_ns() - started)


def share(segment: Segment, total: int, k: int, params: SearchParameters) -> SearchParameters:
    """A segment's share of an effort meant for `total` rows: the root of its share of rows."""
    if segment.index is None or params.exact:
        return SearchParameters(exact=True)
    effort = params.over(segment.index.default_search)
    scale = (len(segment.rows) / max(1, total)) ** 0.5
    return SearchParameters(
        ef=max(k, ceil(effort.ef * scale)) if effort.ef else 0,
        nprobe=max(1, ceil(effort.nprobe * scale)) if effort.nprobe else 0,
        rerank=max(k, ceil(effort.rerank * scale)) if effort.rerank else 0,
        exact=effort.exact,
    )


def _search(
    segment: Segment, effort: SearchParameters, queries: FloatRows, k: int, metric: Metric
) -> Result:
    chosen, index = segment.selection, segment.index
    if index is None or effort.exact or segment.count < 2000:
        positions = chosen.positions() if chosen is not None and chosen.sparse else None
        mask = None if chosen is None or positions is not None else chosen.mask()
        scores, found = search_exact(
            segment.rows, queries, k, metric, mask=mask, positions=positions
        )
        return scores, found, SegmentPlan(segment.id, "exact", segment.count)
    mask = None if chosen is None else chosen.mask()
    scores, found = index.search(queries, k, effort, mask)
    plan = SegmentPlan(segment.id, index.method, segment.count, effort.ef, effort.nprobe)
    return scores, found, plan
