"""A durable collection: the store, the segments derived from it, and what keeps them in step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from embedders.vectors import FloatRows, IndexArray
from index.base import Collection, ProgressCallback, SearchRequest
from index.columns.table import check_filter, validate_payload
from index.errors import PointError
from index.filter import Filter
from index.reading import (
    blocks_of,
    count_rows,
    filtered_page,
    get_points,
    ids_of_slots,
    page_of,
    passing_slots,
    slots_of_ids,
)
from index.runtime import CollectionRuntime
from index.search.hits import find_hits
from index.store.accept import accept, unacceptable
from index.store.operations import Delete, PatchPayload, SelectSlots, Upsert
from index.types import (
    CollectionInfo,
    CollectionSpec,
    FieldType,
    Hits,
    IndexParameters,
    Page,
    Points,
    SearchParameters,
    WriteResult,
)

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def _serving(
    call: Callable[Concatenate["FaissCollection", Arguments], Answer],
) -> Callable[Concatenate["FaissCollection", Arguments], Answer]:
    """See `CollectionRuntime.serving`."""

    @wraps(call)
    def guarded(
        collection: "FaissCollection", /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer:
        with collection.runtime.serving():
            return call(collection, *args, **kwargs)

    return guarded


class FaissCollection(Collection):
    """Calls checked and handed to the parts; see `index.base.Collection` for what they mean."""

    def __init__(self, runtime: CollectionRuntime) -> None:
        self.runtime = runtime

    @property
    def name(self) -> str:
        """See `Collection.name`."""
        return self.runtime.core.name

    @property
    def spec(self) -> CollectionSpec:
        """See `Collection.spec`."""
        return self.runtime.spec

    @property
    def version(self) -> int:
        """See `Collection.version`."""
        return self.runtime.view.version

    @property
    @_serving
    def info(self) -> CollectionInfo:
        """See `Collection.info`."""
        return self.runtime.info()

    @_serving
    def upsert(self, points: Points) -> WriteResult:
        """See `Collection.upsert`."""
        accepted, rejected = accept(points, self.runtime.spec)
        if not len(accepted):
            return WriteResult(0, self.runtime.view.version, rejected)
        return self.runtime.write(Upsert(accepted, rejected))

    def unacceptable(
        self, ids: Sequence[str], payloads: Sequence[bytes] | None
    ) -> Mapping[int, PointError]:
        """See `Collection.unacceptable`."""
        return unacceptable(ids, payloads, self.runtime.spec.fields)

    @_serving
    def update_payload(
        self,
        which: Sequence[str] | Filter,
        payload: bytes,
        *,
        replace: bool = False,
        remove_keys: Sequence[str] = (),
    ) -> WriteResult:
        """See `Collection.update_payload`. Rejected are unknown ids and points whose payload
        would be too large.

        Raises:
            InvalidPointError: `payload` itself is not acceptable.
        """
        fields = self.runtime.spec.fields
        patch = validate_payload(payload or b"{}", fields)
        return self.runtime.write(
            PatchPayload(self._chosen(which), patch, replace, remove_keys, fields)
        )

    @_serving
    def delete(self, which: Sequence[str] | Filter) -> WriteResult:
        """See `Collection.delete`."""
        return self.runtime.write(Delete(self._chosen(which)))

    @_serving
    def get(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_payload: bool = True
    ) -> tuple[Points, list[int]]:
        """See `Collection.get`."""
        return get_points(self.runtime.reader, ids, with_vectors, with_payload)

    @_serving
    def scan(
        self,
        cursor: str = "",
        limit: int = 100,
        *,
        filter: Filter | None = None,
        with_vectors: bool = False,
        with_payload: bool = True,
    ) -> Page:
        """See `Collection.scan`."""
        reader = self.runtime.reader
        if filter is None:
            return page_of(reader, cursor, limit, with_vectors, with_payload)
        self._check(filter)
        live = self.runtime.core.live
        return filtered_page(live, reader, filter, cursor, limit, with_vectors, with_payload)

    @_serving
    def count(self, filter: Filter | None = None) -> int:
        """See `Collection.count`."""
        self._check(filter)
        return count_rows(self.runtime.view, filter)

    @_serving
    def search(self, request: SearchRequest) -> Hits:
        """See `Collection.search`."""
        self._check(request.filter)
        return find_hits(self.runtime, request)

    def blocks(self, limit: int = 0) -> Iterator[tuple[IndexArray, FloatRows]]:
        """See `Collection.blocks`."""
        return blocks_of(self.runtime.view, limit)

    def ids_of(self, slots: IndexArray) -> list[str]:
        """See `Collection.ids_of`."""
        return ids_of_slots(self.runtime.view, slots)

    @_serving
    def slots_of(self, ids: Sequence[str]) -> IndexArray:
        """See `Collection.slots_of`."""
        return slots_of_ids(self.runtime.reader, ids)

    @_serving
    def update(
        self,
        *,
        add_fields: Mapping[str, FieldType] | None = None,
        recipe: str | None = None,
        index: IndexParameters | None = None,
        search: SearchParameters | None = None,
    ) -> None:
        """See `Collection.update`."""
        self.runtime.update(add_fields, recipe, index, search)

    @_serving
    def optimize(self, full: bool = False, progress: ProgressCallback | None = None) -> None:
        """See `Collection.optimize`."""
        self.runtime.maintenance.optimize(full, progress)

    def close(self) -> None:
        """See `Collection.close`."""
        self.runtime.close()

    def _check(self, condition: Filter | None) -> None:
        if condition is not None:
            check_filter(condition, self.runtime.spec.fields)

    def _chosen(self, which: Sequence[str] | Filter) -> Sequence[str] | SelectSlots:
        if isinstance(which, Sequence):
            return which
        self._check(which)
        return lambda: passing_slots(self.runtime.view, which)
