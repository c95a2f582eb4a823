"""Searching a view: each segment by its plan, then the best of all."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.base import SearchRequest
from index.columns.selection import Selection
from index.filter import Filter
from index.scoring import reported
from index.search.plan import Result, Segment, search_segment
from index.search.top import Scores
from index.segments.part import Part, View
from index.types import CollectionSpec, SearchParameters, SearchPlan


@dataclass(frozen=True, slots=True)
class Found:
    """Hits of q queries in columns, best first: `counts` int64 (q,), the others (sum of counts,).

    Args:
        parts: ordinal of the hit's part in the view.
        positions: its row there.
    """

    scores: NDArray[np.float32]
    parts: NDArray[np.intp]
    positions: NDArray[np.int64]
    counts: NDArray[np.int64]
    plan: SearchPlan


def search_view(
    view: View, spec: CollectionSpec, queries: FloatRows, request: SearchRequest
) -> Found:
    """Nearest rows of each query; `queries` float32 (q, dim) are scaled already."""
    started = time.perf_counter_ns()
    segments = [segment_of(part, allowed_rows(part, request.filter)) for part in view.parts]
    filter_ns = time.perf_counter_ns() - started
    params = request.params.over(spec.search)
    total = sum(len(part) for part in view.parts)
    found = [
        search_segment(segment, total, queries, request.k, spec.metric, params)
        for segment in segments
    ]
    passed = sum(segment.count for segment in segments) / max(1, view.live)
    plan = SearchPlan(tuple(part[2] for part in found), passed, filter_ns)
    return _best(found, len(queries), request, plan)


def segment_of(part: Part, chosen: Selection | None) -> Segment:
    """A part as its plan sees it, of the rows that may be returned."""
    least = part.effort.effort if part.effort else SearchParameters()
    return Segment(part.id, part.rows, part.index, chosen, least)


def allowed_rows(part: Part, condition: Filter | None) -> Selection | None:
    """Live rows of a part that pass; None means every row.

    Raises:
        FilterError
    """
    if condition is None:
        return None if part.alive is None else Selection(len(part), mask=part.alive)
    chosen = _first_rows(part.columns.select(condition), len(part))
    if part.alive is None:
        return chosen
    if chosen.sparse:
        positions = chosen.positions()
        return Selection(len(part), positions[part.alive[positions]])
    return Selection(len(part), mask=chosen.mask() & part.alive)


def _first_rows(chosen: Selection, rows: int) -> Selection:
    # columns of a growing segment may be ahead of the view
    if chosen.rows == rows:
        return chosen
    positions = chosen.positions()
    return Selection(rows, positions[: np.searchsorted(positions, rows)])


def _best(found: list[Result], queries: int, request: SearchRequest, plan: SearchPlan) -> Found:
    precise, parts, positions = _merged(found, queries, request.k)
    kept, scores = positions >= 0, reported(precise)
    if request.score_threshold is not None:
        kept &= scores >= request.score_threshold
    return Found(scores[kept], parts[kept], positions[kept], kept.sum(axis=1), plan)


def _merged(
    found: list[Result], queries: int, k: int
) -> tuple[Scores, NDArray[np.intp], NDArray[np.int64]]:
    if len(found) == 1 and not (found[0][0][:, 1:] == found[0][0][:, :-1]).any():
        scores, positions, _ = found[0]
        return scores, np.zeros(scores.shape, dtype=np.intp), positions
    widths = [scores.shape[1] for scores, _, _ in found]
    nothing = np.empty((queries, 0), np.float32)
    scores = np.concatenate([nothing, *(part[0] for part in found)], axis=1)
    positions = np.concatenate([nothing.astype(np.int64), *(part[1] for part in found)], axis=1)
    parts = np.broadcast_to(np.repeat(np.arange(len(found)), widths), scores.shape)
    # parts and positions ascend with the slots, so they break ties as slots would
    order = np.lexsort((positions, parts, -scores), axis=1)[:, :k]
    return (
        np.take_along_axis(scores, order, axis=1),
        np.take_along_axis(parts, order, axis=1),
        np.take_along_axis(positions, order, axis=1),
    )
