"""How much effort a segment's index needs, measured with rows of its own when it is built.

What a constant gives depends on the data: on 20,000 rows the probes that `ivf` has by itself find
0.82 of ten neighbours among sentence vectors, 0.20 among random ones under dot, and 0.92 in a
mixture of 2,000 clusters. So each index is searched for the neighbours of some of its rows, and the
least effort that finds enough of them is kept beside it. Default searches use no less.

A graph leads from a row to its neighbours by the row's own links, which other queries do not have,
so rows are moved by the distance to their nearest neighbour before a graph is asked. (At the effort
where 500 rows that were held out found 0.945, rows as they are found 0.969 and moved ones 0.953.)
Lists showed no such difference.
"""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows
from index.recipes.base import SegmentIndex
from index.search.exact import score_each, search_exact
from index.types import MeasuredEffort, Metric, SearchParameters

#: neighbours of each sampled row
K = 10
#: the lower end of the interval must reach it: 0.95, and a little, since queries differ from rows
GOAL = 0.955
_SAMPLES = 256
_NORMAL_95 = 1.96
# beyond these an exact search costs less
_MOST_EF, _MOST_RERANK = 4096, 8192
_LEAST_SCALE = 1 / 16
_HALVINGS = 3

Check = Callable[[], object]


class Trial:
    """Sampled rows of a segment as queries, each without itself, and how near its neighbours are.

    Args:
        rows: float32 (n, d), scaled by the metric; the index holds the same.
        check: called before each measurement; raises to cancel.
    """

    def __init__(self, index: SegmentIndex, rows: FloatRows, metric: Metric, check: Check) -> None:
        self._index, self._rows, self._metric, self._check = index, rows, metric, check
        random = np.random.default_rng(0)
        count = min(_SAMPLES, len(rows))
        # ascending, since the rows are memory-mapped
        self._own = np.sort(random.choice(len(rows), count, replace=False)).astype(np.int64)
        self._queries: FloatRows = np.ascontiguousarray(rows[self._own])
        check()
        if index.default_search.ef:
            self._queries = _moved(rows, self._queries, self._own, metric, random)
            self._own = np.full(count, -1, dtype=np.int64)
        self._k = max(1, min(K, len(rows) - 1))
        _, nearest = search_exact(rows, self._queries, self._k + 1, metric)
        self._floor = np.sort(self._scores(nearest), axis=1)[:, -self._k]

    def measure(self, effort: SearchParameters) -> MeasuredEffort:
        """Recall at an effort: hits as near as the tenth neighbour count, so that ties do."""
        self._check()
        _, positions = self._index.search(self._queries, self._k + 1, effort)
        near = np.sum(self._scores(positions) >= self._floor[:, None], axis=1)
        shares = np.minimum(near / self._k, 1.0)
        recall = float(shares.mean())
        half = _NORMAL_95 * float(shares.std()) / sqrt(len(shares))
        return MeasuredEffort(
            effort, recall, max(0.0, recall - half), min(1.0, recall + half), len(shares)
        )

    def _scores(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        scores = score_each(self._rows, self._queries, positions, self._metric)
        scores[positions == self._own[:, None]] = -np.inf
        return scores


def calibrate(index: SegmentIndex, rows: FloatRows, metric: Metric, check: Check) -> MeasuredEffort:
    """The least effort that reaches the goal; where none does, the most that is tried."""
    trial = Trial(index, rows, metric, check)
    start = trial.measure(index.default_search)
    if _is_enough(start):
        return _lowered(trial, start)
    return _raised(trial, start, _limits(index))


def _lowered(trial: Trial, enough: MeasuredEffort) -> MeasuredEffort:
    """Down to what the share of a small segment in a large collection may be."""
    default, scale = enough.effort, 0.5
    while scale >= _LEAST_SCALE:
        lower = trial.measure(_scaled(default, scale))
        if not _is_enough(lower):
            return _narrowed(trial, lower.effort, enough)
        enough, scale = lower, scale / 2
    return enough


def _raised(trial: Trial, short: MeasuredEffort, limits: SearchParameters) -> MeasuredEffort:
    while True:
        more = _next(trial, short, limits)
        if more is None:
            return short
        if _is_enough(more):
            return _narrowed(trial, short.effort, more)
        short = more


def _next(trial: Trial, short: MeasuredEffort, limits: SearchParameters) -> MeasuredEffort | None:
    """Twice as wide or twice as deep, whichever finds more; None at the limits of both."""
    effort = short.effort
    wider = replace(
        effort,
        ef=min(2 * effort.ef, limits.ef),
        nprobe=min(2 * effort.nprobe, limits.nprobe),
    )
    deeper = replace(effort, rerank=min(2 * effort.rerank, limits.rerank))
    steps = []
    for step in (wider, deeper):
        if step != effort:
            steps.append(trial.measure(step))
            if 2 * (steps[-1].low - short.low) >= GOAL - short.low:
                return steps[-1]
    return max(steps, key=lambda step: step.recall, default=None)


def _narrowed(trial: Trial, short: SearchParameters, enough: MeasuredEffort) -> MeasuredEffort:
    """Between an effort that is too little and one that is enough."""
    for _ in range(_HALVINGS):
        middle = trial.measure(_between(short, enough.effort))
        if _is_enough(middle):
            enough = middle
        else:
            short = middle.effort
    return enough


def _is_enough(measured: MeasuredEffort) -> bool:
    return measured.low >= GOAL


def _limits(index: SegmentIndex) -> SearchParameters:
    default = index.default_search
    return SearchParameters(
        ef=max(default.ef, min(_MOST_EF, index.rows)) if default.ef else 0,
        nprobe=len(index.lists.centers) if default.nprobe and index.lists else default.nprobe,
        rerank=max(default.rerank, min(_MOST_RERANK, index.rows)) if default.rerank else 0,
    )


def _scaled(effort: SearchParameters, scale: float) -> SearchParameters:
    return replace(
        effort,
        ef=min(effort.ef, max(K, ceil(effort.ef * scale))),
        rerank=min(effort.rerank, max(K, ceil(effort.rerank * scale))),
    )


def _between(low: SearchParameters, high: SearchParameters) -> SearchParameters:
    return SearchParameters(
        ef=ceil(sqrt(low.ef * high.ef)),
        nprobe=ceil(sqrt(low.nprobe * high.nprobe)),
        rerank=ceil(sqrt(low.rerank * high.rerank)),
    )


def _moved(
    rows: FloatRows,
    queries: FloatRows,
    own: NDArray[np.int64],
    metric: Metric,
    random: np.random.Generator,
) -> FloatRows:
    """Rows as far from where they were as their nearest neighbour is."""
    _, nearest = search_exact(rows, queries, 2, Metric.L2)
    # of two equal rows the other one may come first
    other = np.where(nearest[:, 0] == own, nearest[:, 1], nearest[:, 0])
    far = np.linalg.norm(rows[other].astype(np.float64) - queries, axis=1, keepdims=True)
    way = random.standard_normal(queries.shape)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    moved: FloatRows = (queries + far * way).astype(np.float32)
    return normalize_rows(moved) if metric.normalizes else moved
