"""The keys of a lookup model, words or graph nodes, as a read-only collection."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace as changed
from functools import cached_property

import numpy as np
import orjson
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray, normalize_rows
from index.base import Collection, ProgressCallback, SearchRequest
from index.columns.table import Columns, Selection
from index.errors import PointError, QueryError, ReadOnlyError
from index.filter import Filter
from index.scoring import reported
from index.search.exact import search_exact
from index.search.queries import ready_queries
from index.search.top import Positions, Scores
from index.types import (
    CollectionInfo,
    CollectionSpec,
    FieldType,
    Hits,
    IndexParameters,
    Page,
    Points,
    SearchParameters,
    SearchPlan,
    SegmentPlan,
    WriteResult,
)

# its rows never change
VERSION = 1
_BLOCK_ROWS = 16_384


class VocabularyCollection(Collection):
    """A matrix in memory, searched exactly. Ids are the keys, a slot is a row of the matrix.

    Args:
        name: the model's id.
        keys: distinct; most frequent first, where frequencies are known.
        matrix: float32 (n, dim), as the model has it; kept, not copied.
        counts: int64 (n,), how often each key was seen; payloads are then {"count": n}, and
            the field is declared.
        created_ns: Unix time.
    """

    def __init__(
        self,
        name: str,
        keys: Sequence[str],
        matrix: FloatRows,
        spec: CollectionSpec,
        counts: NDArray[np.int64] | None = None,
        created_ns: int = 0,
    ) -> None:
        if len(keys) != len(matrix) or (counts is not None and len(counts) != len(keys)):
            raise ValueError(f"{len(keys)} keys, {len(matrix)} rows")
        fields = {} if counts is None else {"count": FieldType.INT}
        self._spec = changed(spec, fields=fields)
        self._name, self._keys, self._created_ns = name, keys, created_ns
        self._matrix, self._counts = matrix, counts
        scaled = normalize_rows(matrix) if spec.metric.normalizes else matrix
        self._rows = np.ascontiguousarray(scaled, dtype=np.float32)
        self._slots = {key: slot for slot, key in enumerate(keys)}

    read_only = True

    @property
    def name(self) -> str:
        """See `Collection`."""
        return self._name

    @property
    def spec(self) -> CollectionSpec:
        """See `Collection`."""
        return self._spec

    @property
    def version(self) -> int:
        """See `Collection`."""
        return VERSION

    @property
    def info(self) -> CollectionInfo:
        """See `Collection`."""
        return CollectionInfo(
            self._name,
            self._spec,
            "exact",
            len(self._keys),
            version=VERSION,
            read_only=True,
            memory_bytes=self._rows.nbytes + self._matrix.nbytes,
            created_ns=self._created_ns,
        )

    def get(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_payload: bool = True
    ) -> tuple[Points, list[int]]:
        """See `Collection`; vectors are the model's own, not scaled."""
        slots = [self._slots.get(key, -1) for key in ids]
        missing = [position for position, slot in enumerate(slots) if slot < 0]
        found = np.array([slot for slot in slots if slot >= 0], dtype=np.intp)
        return self._points(found, with_vectors, with_payload), missing

    def scan(
        self,
        cursor: str = "",
        limit: int = 100,
        *,
        filter: Filter | None = None,
        with_vectors: bool = False,
        with_payload: bool = True,
    ) -> Page:
        """See `Collection`; in the order of the keys."""
        if cursor and not (cursor.isascii() and cursor.isdigit()):
            raise QueryError("page_token", f"{cursor!r} is not a cursor of {self._name!r}")
        start = int(cursor or 0)
        if filter is None:
            slots = np.arange(start, min(start + limit, len(self._keys)))
        else:
            chosen = self._columns.select(filter).positions()
            slots = chosen[np.searchsorted(chosen, start) :][:limit]
        more = len(slots) == limit and limit > 0
        points = self._points(slots, with_vectors, with_payload)
        return Page(points, str(int(slots[-1]) + 1) if more else "")

    def count(self, filter: Filter | None = None) -> int:
        """See `Collection`."""
        return len(self._keys) if filter is None else self._columns.select(filter).count

    def search(self, request: SearchRequest) -> Hits:
        """See `Collection`; always exact."""
        queries = ready_queries(request, self._spec)
        chosen = None if request.filter is None else self._columns.select(request.filter)
        precise, slots = self._nearest(queries, request.k, chosen)
        kept, scores = slots >= 0, reported(precise)
        if request.score_threshold is not None:
            kept &= scores >= request.score_threshold
        candidates = len(self._keys) if chosen is None else chosen.count
        plan = SearchPlan(
            (SegmentPlan(0, "exact", candidates),), candidates / max(1, len(self._keys))
        )
        points = self._points(slots[kept], request.with_vectors, request.with_payload)
        values = (
            self._columns.group_keys(request.value_of, slots[kept]) if request.value_of else None
        )
        return Hits(points, scores[kept], np.count_nonzero(kept, axis=1), plan, values)

    def blocks(self, limit: int = 0) -> Iterator[tuple[IndexArray, FloatRows]]:
        """See `Collection`; unit rows under cosine."""
        end = min(limit, len(self._rows)) if limit else len(self._rows)
        for start in range(0, end, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, end)
            yield np.arange(start, stop), self._rows[start:stop]

    def ids_of(self, slots: IndexArray) -> list[str]:
        """See `Collection`."""
        return [self._keys[slot] for slot in slots.tolist()]

    def slots_of(self, ids: Sequence[str]) -> IndexArray:
        """See `Collection`."""
        return np.array([self._slots.get(key, -1) for key in ids], dtype=np.intp)

    def optimize(self, full: bool = False, progress: ProgressCallback | None = None) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def upsert(self, points: Points) -> WriteResult:
        """Refused."""
        raise self._refusal

    def unacceptable(
        self, ids: Sequence[str], payloads: Sequence[bytes] | None
    ) -> Mapping[int, PointError]:
        """Refused, as all writes."""
        raise self._refusal

    def update_payload(
        self,
        which: Sequence[str] | Filter,
        payload: bytes,
        *,
        replace: bool = False,
        remove_keys: Sequence[str] = (),
    ) -> WriteResult:
        """Refused."""
        raise self._refusal

    def delete(self, which: Sequence[str] | Filter) -> WriteResult:
        """Refused."""
        raise self._refusal

    def update(
        self,
        *,
        add_fields: Mapping[str, FieldType] | None = None,
        recipe: str | None = None,
        index: IndexParameters | None = None,
        search: SearchParameters | None = None,
    ) -> None:
        """Refused."""
        raise self._refusal

    @property
    def _refusal(self) -> ReadOnlyError:
        return ReadOnlyError(self._name, "it is the vocabulary of a model")

    @cached_property
    def _columns(self) -> Columns:
        columns = Columns(self._spec.fields)
        counts = [None] * len(self._keys) if self._counts is None else self._counts.tolist()
        columns.append([{"count": count} for count in counts], ["key"] * len(self._keys))
        return columns

    def _nearest(
        self, queries: FloatRows, k: int, chosen: Selection | None
    ) -> tuple[Scores, Positions]:
        metric = self._spec.metric
        if chosen is None:
            return search_exact(self._rows, queries, k, metric)
        if chosen.sparse:
            return search_exact(self._rows, queries, k, metric, positions=chosen.positions())
        return search_exact(self._rows, queries, k, metric, mask=chosen.mask())

    def _points(self, slots: IndexArray, with_vectors: bool, with_payload: bool) -> Points:
        return Points(
            self.ids_of(slots),
            np.asarray(self._matrix[slots], dtype=np.float32) if with_vectors else None,
            self._payloads(slots) if with_payload else None,
            ["key"] * len(slots),
        )

    def _payloads(self, slots: IndexArray) -> list[bytes]:
        if self._counts is None:
            return [b"{}"] * len(slots)
        return [orjson.dumps({"count": count}) for count in self._counts[slots].tolist()]
