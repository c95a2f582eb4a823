"""A durable collection: the store, the segments derived from it, and what keeps them in step."""

from collections.abc import Iterator, Mapping, Sequence

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


class FaissCollection(Collection):
    """Calls checked and handed to the parts; see `index.base.Collection` for what they mean."""

    def __init__(self, runtime: CollectionRuntime) -> None:
        self._runtime = runtime

    @property
    def name(self) -> str:
        """See `Collection.name`."""
        return self._runtime.core.name

    @property
    def spec(self) -> CollectionSpec:
        """See `Collection.spec`."""
        return self._runtime.spec

    @property
    def version(self) -> int:
        """See `Collection.version`."""
        return self._runtime.view.version

    @property
    def info(self) -> CollectionInfo:
        """See `Collection.info`."""
        return self._runtime.info()

    def upsert(self, points: Points) -> WriteResult:
        """See `Collection.upsert`."""
        accepted, rejected = accept(points, self._runtime.spec)
        if not len(accepted):
            return WriteResult(0, self._runtime.view.version, rejected)
        return self._runtime.write(Upsert(accepted, rejected))

    def unacceptable(
        self, ids: Sequence[str], payloads: Sequence[bytes] | None
    ) -> Mapping[int, PointError]:
        """See `Collection.unacceptable`."""
        return unacceptable(ids, payloads, self._runtime.spec.fields)

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
        fields = self._runtime.spec.fields
        patch = validate_payload(payload or b"{}", fields)
        return self._runtime.write(
            PatchPayload(self._chosen(which), patch, replace, remove_keys, fields)
        )

    def delete(self, which: Sequence[str] | Filter) -> WriteResult:
        """See `Collection.delete`."""
        return self._runtime.write(Delete(self._chosen(which)))

    def get(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_payload: bool = True
    ) -> tuple[Points, list[int]]:
        """See `Collection.get`."""
        return get_points(self._runtime.reader, ids, with_vectors, with_payload)

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
        reader = self._runtime.reader
        if filter is None:
            return page_of(reader, cursor, limit, with_vectors, with_payload)
        self._check(filter)
        live = self._runtime.core.live
        return filtered_page(live, reader, filter, cursor, limit, with_vectors, with_payload)

    def count(self, filter: Filter | None = None) -> int:
        """See `Collection.count`."""
        self._check(filter)
        return count_rows(self._runtime.view, filter)

    def search(self, request: SearchRequest) -> Hits:
        """See `Collection.search`."""
        self._check(request.filter)
        return find_hits(self._runtime, request)

    def blocks(self, limit: int = 0) -> Iterator[tuple[IndexArray, FloatRows]]:
        """See `Collection.blocks`."""
        return blocks_of(self._runtime.view, limit)

    def ids_of(self, slots: IndexArray) -> list[str]:
        """See `Collection.ids_of`."""
        return ids_of_slots(self._runtime.view, slots)

    def slots_of(self, ids: Sequence[str]) -> IndexArray:
        """See `Collection.slots_of`."""
        return slots_of_ids(self._runtime.reader, ids)

    def update(
        self,
        *,
        add_fields: Mapping[str, FieldType] | None = None,
        recipe: str | None = None,
        index: IndexParameters | None = None,
        search: SearchParameters | None = None,
    ) -> None:
        """See `Collection.update`."""
        self._runtime.update(add_fields, recipe, index, search)

    def optimize(self, full: bool = False, progress: ProgressCallback | None = None) -> None:
        """See `Collection.optimize`."""
        self._runtime.maintenance.optimize(full, progress)

    def close(self) -> None:
        """See `Collection.close`."""
        self._runtime.close()

    def _check(self, condition: Filter | None) -> None:
        if condition is not None:
            check_filter(condition, self._runtime.spec.fields)

    def _chosen(self, which: Sequence[str] | Filter) -> Sequence[str] | SelectSlots:
        if isinstance(which, Sequence):
            return which
        self._check(which)
        return lambda: passing_slots(self._runtime.view, which)
