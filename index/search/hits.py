"""From a search request to hits with their ids, payloads and vectors."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.base import SearchRequest
from index.errors import PayloadsTooLargeError
from index.names import MODALITIES
from index.runtime import CollectionRuntime
from index.search.queries import ready_queries
from index.search.view import Found, search_view
from index.segments.moment import moment
from index.segments.part import Part, View
from index.types import Hits, Points

T = TypeVar("T")

# A reply repeats the payload of a point for every query that it answers.
MAX_PAYLOAD_BYTES = 256 << 20


def find_hits(runtime: CollectionRuntime, request: SearchRequest) -> Hits:
    """Nearest points of each query.

    Payloads are of the same moment as the search.

    Raises:
        QueryError, FilterError, StorageError
    """
    queries = ready_queries(request, runtime.spec)
    runtime.begin_search()
    if not request.with_payload:
        view = runtime.view
        return _hits(view, search_view(view, runtime.spec, queries, request), request, None)
    with moment(runtime.core.live, runtime.reader) as (view, connection):
        found = search_view(view, runtime.spec, queries, request)
        slots = _gather(view, found, lambda part: part.slots)
        payloads = runtime.reader.payloads(np.unique(slots).tolist(), connection, MAX_PAYLOAD_BYTES)
    there = np.array([slot in payloads for slot in slots.tolist()], dtype=np.bool_)
    if not there.all():
        found, slots = _only(found, there), slots[there]
    chosen = [payloads[slot] for slot in slots.tolist()]
    if sum(map(len, chosen)) > MAX_PAYLOAD_BYTES:
        raise PayloadsTooLargeError(MAX_PAYLOAD_BYTES)
    return _hits(view, found, request, chosen)


def _hits(
    view: View, found: Found, request: SearchRequest, payloads: Sequence[bytes] | None
) -> Hits:
    codes = _gather(view, found, lambda part: part.codes)
    points = Points(
        _ids(view, found),
        _vectors(view, found, request.queries.shape[1]) if request.with_vectors else None,
        payloads,
        [MODALITIES[code] for code in codes.tolist()],
    )
    values = _values(view, found, request.value_of) if request.value_of else None
    return Hits(points, found.scores, found.counts, found.plan, values)


def _only(found: Found, chosen: NDArray[np.bool_]) -> Found:
    queries = np.repeat(np.arange(len(found.counts)), found.counts)[chosen]
    return replace(
        found,
        scores=found.scores[chosen],
        parts=found.parts[chosen],
        positions=found.positions[chosen],
        counts=np.bincount(queries, minlength=len(found.counts)).astype(np.int64),
    )


def _gather(view: View, found: Found, column: Callable[[Part], NDArray[Any]]) -> NDArray[Any]:
    """A column of the parts at each hit."""
    if len(view.parts) == 1:
        return column(view.parts[0])[found.positions]
    made: NDArray[Any] | None = None
    for ordinal, part in enumerate(view.parts):
        own = found.parts == ordinal
        values = column(part)[found.positions[own]]
        if made is None:
            made = np.empty((len(own), *values.shape[1:]), dtype=values.dtype)
        made[own] = values
    return np.empty(0, dtype=np.int64) if made is None else made


def _vectors(view: View, found: Found, dim: int) -> FloatRows:
    return _gather(view, found, lambda part: part.rows).astype(np.float32).reshape(-1, dim)


def _ids(view: View, found: Found) -> list[str]:
    return _listed(view, found, lambda part, positions: part.ids.at(positions))


def _values(view: View, found: Found, field: str) -> list[object]:
    return _listed(view, found, lambda part, positions: part.columns.group_keys(field, positions))


def _listed(
    view: View, found: Found, column: Callable[[Part, NDArray[np.int64]], Sequence[T]]
) -> list[T]:
    """As `_gather`, of what is no array."""
    if len(view.parts) == 1:
        return list(column(view.parts[0], found.positions))
    made: dict[int, T] = {}
    for ordinal, part in enumerate(view.parts):
        places = np.flatnonzero(found.parts == ordinal)
        made.update(zip(places.tolist(), column(part, found.positions[places]), strict=True))
    return [made[place] for place in range(len(found.positions))]
