"""Calls about points."""
# Generated from aio/points.py by scripts/generate_sync_client.py; edit that.

from collections.abc import Iterable, Iterator, Sequence

from latentspace.calls import CallKind
from latentspace.filters import FilterLike, filter_message
from latentspace.images import ImageSource
from latentspace.inputs import Input, only_one, plural_inputs, strings
from latentspace.payloads import Payload
from latentspace.requests.options import EmbedOptions
from latentspace.requests.points import (
    delete_requests,
    get_requests,
    payload_requests,
    upsert_requests,
    writes_of,
)
from latentspace.requests.texts import with_texts
from latentspace.results.listing import Listing
from latentspace.results.partial import OnError, raise_failed
from latentspace.results.point import Page, Point, UpsertResult, points_of
from latentspace.results.timing import Timing
from latentspace.sifting import Errors
from latentspace.status import item_errors
from latentspace.sync.base import Calls
from latentspace.v1 import collection_service_pb2
from latentspace.vectors import VectorsLike, checked_rows


class PointCalls(Calls):
    """Points: write, read, count, change, delete."""

    def upsert(
        self,
        collection: str,
        ids: Iterable[str],
        *,
        vectors: VectorsLike | None = None,
        texts: Iterable[str] | None = None,
        images: Iterable[ImageSource] | None = None,
        keys: Iterable[str] | None = None,
        inputs: Iterable[Input] | None = None,
        payloads: Iterable[Payload | None] | None = None,
        options: EmbedOptions | None = None,
        space_id: str = "",
        vector_name: str = "",
        keep_text: str = "",
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> UpsertResult:
        """Writes points; one with a known id is replaced. What is acknowledged is on disk.

        Args:
            ids: 1 to 512 bytes of UTF-8 each.
            vectors: (n, dim); or raw items, embedded by the collection's model.
            payloads: JSON objects, at most 64 KiB each.
            options: how raw items are embedded.
            space_id: space of `vectors`; where it is said, another space is refused.
            keep_text: payload field in which texts stay readable, so that a search can show
                them; a payload that has this field keeps its own. Texts of over 16,000 letters
                are left out, and "" keeps none.
            on_error: "return" gives what failed in the result's `errors`.

        Raises:
            PartialError: some points were refused, the others are on disk.
        """
        rows = items = None
        bad_rows: Errors = {}
        if vectors is None:
            items = plural_inputs(inputs=inputs, texts=texts, images=images, keys=keys)
        else:
            others = {"texts": texts, "images": images, "keys": keys, "inputs": inputs}
            only_one(["vectors", *(name for name, given in others.items() if given is not None)])
            rows, bad_rows = checked_rows(vectors, space_id=space_id)
        if keep_text and items is not None:
            listed = list(items)
            items, payloads = iter(listed), with_texts(keep_text, listed, payloads)
        writes = writes_of(ids, items, rows, payloads, bad_rows)
        sieve = writes.sieve()
        parts = self._rpc.unary_parts(
            self._stubs.collections.UpsertPoints,
            upsert_requests(
                collection,
                writes,
                sieve,
                self._rpc.options,
                embed=options,
                vector_name=vector_name,
            ),
            CallKind.WRITE if rows is not None else CallKind.EMBED,
            timeout_s,
            lambda request: len(request.points.ids),
        )
        result = _upsert_result(parts, writes.placed(sieve.rest(), item_errors(parts)))
        raise_failed(result.errors, len(writes.positions) + len(writes.errors), result, on_error)
        return result

    def get(
        self,
        collection: str,
        ids: str | Sequence[str],
        *,
        with_vectors: bool = False,
        with_payload: bool = True,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> Listing[Point]:
        """Points by id, in the order asked.

        Args:
            on_error: "return" leaves out the points that there are not.

        Raises:
            PartialError: some ids are unknown; its `result` has the points that were found.
            NotFoundError: the only id is unknown.
        """
        names = strings(ids, "ids")
        parts = self._rpc.unary_parts(
            self._stubs.collections.GetPoints,
            get_requests(collection, names, with_vectors, with_payload, on_error == "return"),
            CallKind.READ,
            timeout_s,
            lambda request: len(request.ids),
        )
        points = Listing(point for _, reply in parts for point in points_of(reply.points))
        raise_failed(item_errors(parts), len(names), points, on_error)
        return points

    def list_points(
        self,
        collection: str,
        *,
        filter: FilterLike | None = None,
        page_size: int = 100,
        page_token: str = "",
        with_vectors: bool = False,
        with_payload: bool = True,
        timeout_s: float | None = None,
    ) -> Page:
        """A page of points, in the order of their writing.

        Args:
            page_size: 1 to 10,000.
            page_token: `next_page_token` of the page before; "" for the first.
        """
        request = collection_service_pb2.ListPointsRequest(
            collection=collection,
            filter=filter_message(filter),
            page_size=page_size,
            page_token=page_token,
            with_vectors=with_vectors,
            without_payload=not with_payload,
        )
        reply = self._rpc.unary(
            self._stubs.collections.ListPoints, request, CallKind.READ, timeout_s
        )
        return Page(points_of(reply.points), reply.next_page_token)

    def scroll(
        self,
        collection: str,
        *,
        filter: FilterLike | None = None,
        page_size: int = 500,
        with_vectors: bool = False,
        with_payload: bool = True,
        timeout_s: float | None = None,
    ) -> Iterator[Point]:
        """All points that pass, one by one, fetched page by page; right while writes go on."""
        token = ""
        while True:
            page = self.list_points(
                collection,
                filter=filter,
                page_size=page_size,
                page_token=token,
                with_vectors=with_vectors,
                with_payload=with_payload,
                timeout_s=timeout_s,
            )
            yield from page
            token = page.next_page_token
            if not token:
                return

    def count(
        self,
        collection: str,
        *,
        filter: FilterLike | None = None,
        timeout_s: float | None = None,
    ) -> int:
        """Points that pass."""
        request = collection_service_pb2.CountPointsRequest(
            collection=collection, filter=filter_message(filter)
        )
        reply = self._rpc.unary(
            self._stubs.collections.CountPoints, request, CallKind.READ, timeout_s
        )
        return reply.count

    def update_payload(
        self,
        collection: str,
        ids: str | Sequence[str] | None = None,
        payload: Payload | None = None,
        *,
        filter: FilterLike | None = None,
        replace: bool = False,
        remove_keys: str | Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> int:
        """Removes keys, then merges `payload`; vectors stay. Returns how many points changed.

        Args:
            ids: these points, or `filter`: all that pass.
            replace: whole payloads instead of merging top-level keys.

        Raises:
            PartialError: some ids are unknown; its `result` is how many changed.
        """
        parts = self._rpc.unary_parts(
            self._stubs.collections.UpdatePayload,
            payload_requests(collection, ids, filter, payload, replace, remove_keys),
            CallKind.WRITE,
            timeout_s,
            lambda request: len(request.ids.ids),
        )
        updated = sum(reply.updated for _, reply in parts)
        raise_failed(item_errors(parts), sum(items for items, _ in parts), updated)
        return updated

    def delete(
        self,
        collection: str,
        ids: str | Sequence[str] | None = None,
        *,
        filter: FilterLike | None = None,
        timeout_s: float | None = None,
    ) -> int:
        """Deletes points by id (unknown ones are passed over) or by filter; returns how many."""
        parts = self._rpc.unary_parts(
            self._stubs.collections.DeletePoints,
            delete_requests(collection, ids, filter),
            CallKind.WRITE,
            timeout_s,
            lambda request: len(request.ids.ids),
        )
        return sum(reply.deleted for _, reply in parts)


def _upsert_result(
    parts: Sequence[tuple[int, collection_service_pb2.UpsertPointsResponse]],
    errors: Errors,
) -> UpsertResult:
    return UpsertResult(
        written=sum(reply.written for _, reply in parts),
        version=max((reply.version for _, reply in parts), default=0),
        errors=errors,
        timing=Timing.from_messages(reply.timing for _, reply in parts),
    )
