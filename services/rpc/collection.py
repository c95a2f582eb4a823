"""CollectionService."""

# ruff: noqa: N802 - methods have the names of the calls

import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from index.base import Collection
from index.errors import PointNotFoundError
from index.filter import Filter
from latentspace.v1 import collection_service_pb2 as pb
from latentspace.v1.types_pb2 import MODALITY_UNSPECIFIED
from services.rpc.calls import Context, deadline_of
from services.rpc.embedding import write_timing
from services.rpc.filters import read_filter
from services.rpc.imports import Imports
from services.rpc.inputs import MODALITIES, check_vector_name, read_items, read_options
from services.rpc.maintenance import MaintenanceCalls
from services.rpc.pipelining import BATCHES_AT_WORK, pipelined
from services.rpc.shapes import read_spec, write_collection, write_points
from services.rpc.status import item_errors
from services.rpc.vectors import unpack
from services.runtime.collections import Collections
from services.runtime.errors import RequestError
from services.runtime.operations import Operations
from services.runtime.points import Made, PointWrites, make_points, store_points, upsert
from services.runtime.pools import run_in
from services.runtime.snapshots import Snapshots

MAX_PAGE = 10_000
DEFAULT_PAGE = 100
MODALITY_NAMES = {MODALITY_UNSPECIFIED: "vector", **{n: name for name, n in MODALITIES.items()}}


class CollectionServicer(MaintenanceCalls):
    """Collections and their points."""

    def __init__(
        self,
        collections: Collections,
        operations: Operations,
        snapshots: Snapshots,
        imports: Imports,
        max_points: int,
    ) -> None:
        super().__init__(collections, operations, snapshots, imports)
        self._max_points = max_points
        self._pools = collections.pools

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """Creates a collection."""
        made = await self._collections.create(request.collection, read_spec(request.spec))
        named = self._collections.describe(made)
        return pb.CreateCollectionResponse(collection=write_collection(named))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, context: Context
    ) -> pb.GetCollectionResponse:
        """One collection, by name or alias."""
        named = self._collections.describe(self._collections.get(request.collection))
        return pb.GetCollectionResponse(collection=write_collection(named))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        """All collections."""
        found = [write_collection(named) for named in self._collections.all()]
        return pb.ListCollectionsResponse(collections=found)

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """Deletes a collection and its files."""
        await self._collections.drop(request.collection)
        return pb.DeleteCollectionResponse()

    async def UpsertPoints(
        self, request: pb.UpsertPointsRequest, context: Context
    ) -> pb.UpsertPointsResponse:
        """Writes points."""
        started = time.perf_counter_ns()
        collection, writes = self._writes(request.collection, request.points)
        outcome = await upsert(self._collections, collection, writes, deadline_of(context))
        return pb.UpsertPointsResponse(
            written=outcome.written,
            version=outcome.version,
            errors=item_errors(outcome.errors, "points"),
            timing=write_timing(outcome.embedded, started),
        )

    async def ImportPoints(
        self, requests: AsyncIterator[pb.ImportPointsRequest], context: Context
    ) -> AsyncIterator[pb.ImportPointsResponse]:
        """Writes batch after batch, in order; the next are embedded while one is written.

        It is bulk work: where the model is overloaded it waits, and holds its sender back.
        """
        deadline = deadline_of(context)
        latest = ""

        async def make(request: pb.ImportPointsRequest) -> tuple[int, Collection, Made]:
            nonlocal latest
            latest = request.collection or latest
            collection, writes = self._writes(latest, request.points)
            made = await make_points(self._collections, collection, writes, deadline, patient=True)
            return request.batch_id, collection, made

        batches = pipelined(requests, make, BATCHES_AT_WORK)
        async with contextlib.aclosing(batches):
            async for batch_id, collection, made in batches:
                outcome = await store_points(self._collections, collection, made)
                yield pb.ImportPointsResponse(
                    batch_id=batch_id,
                    written=outcome.written,
                    version=outcome.version,
                    errors=item_errors(outcome.errors, "points"),
                )

    async def GetPoints(
        self, request: pb.GetPointsRequest, context: Context
    ) -> pb.GetPointsResponse:
        """Points by id."""
        collection = self._collections.get(request.collection)
        self._check_ids(request.ids)
        points, missing = await run_in(
            self._pools.search,
            collection.get,
            list(request.ids),
            with_vectors=request.with_vectors,
            with_payload=not request.without_payload,
        )
        told = [] if request.ignore_missing else missing
        errors: Mapping[int, Exception] = {i: PointNotFoundError(request.ids[i]) for i in told}
        return pb.GetPointsResponse(
            points=write_points(points, collection.spec.space_id),
            errors=item_errors(errors, "ids"),
        )

    async def ListPoints(
        self, request: pb.ListPointsRequest, context: Context
    ) -> pb.ListPointsResponse:
        """A page of points."""
        if request.page_size > MAX_PAGE:
            raise RequestError("page_size", f"page_size must be at most {MAX_PAGE}")
        collection = self._collections.get(request.collection)
        page = await run_in(
            self._pools.search,
            collection.scan,
            request.page_token,
            request.page_size or DEFAULT_PAGE,
            filter=optional_filter(request),
            with_vectors=request.with_vectors,
            with_payload=not request.without_payload,
        )
        return pb.ListPointsResponse(
            points=write_points(page.points, collection.spec.space_id),
            next_page_token=page.cursor,
        )

    async def UpdatePayload(
        self, request: pb.UpdatePayloadRequest, context: Context
    ) -> pb.UpdatePayloadResponse:
        """Sets, merges or removes payload keys."""
        collection = self._collections.get(request.collection)
        result = await run_in(
            self._pools.write,
            collection.update_payload,
            self._selected(request),
            request.payload,
            replace=request.replace,
            remove_keys=list(request.remove_keys),
        )
        return pb.UpdatePayloadResponse(
            updated=result.written,
            version=result.version,
            errors=item_errors(dict(result.rejected), "ids"),
        )

    async def DeletePoints(
        self, request: pb.DeletePointsRequest, context: Context
    ) -> pb.DeletePointsResponse:
        """Deletes points by id or by filter."""
        collection = self._collections.get(request.collection)
        result = await run_in(self._pools.write, collection.delete, self._selected(request))
        return pb.DeletePointsResponse(deleted=result.written, version=result.version)

    async def CountPoints(
        self, request: pb.CountPointsRequest, context: Context
    ) -> pb.CountPointsResponse:
        """Counts points."""
        collection = self._collections.get(request.collection)
        count = await run_in(self._pools.search, collection.count, optional_filter(request))
        return pb.CountPointsResponse(count=count)

    async def SetAlias(self, request: pb.SetAliasRequest, context: Context) -> pb.SetAliasResponse:
        """Points an alias at a collection."""
        previous = await self._collections.set_alias(request.alias, request.collection)
        return pb.SetAliasResponse(previous_collection=previous)

    async def DeleteAlias(
        self, request: pb.DeleteAliasRequest, context: Context
    ) -> pb.DeleteAliasResponse:
        """Removes an alias."""
        await self._collections.delete_alias(request.alias)
        return pb.DeleteAliasResponse()

    def _writes(self, name: str, points: pb.PointWrites) -> tuple[Collection, PointWrites]:
        collection = self._collections.get(name)
        if len(points.ids) > self._max_points:
            raise RequestError(
                "points.ids",
                f"{len(points.ids)} points in one call; at most {self._max_points},"
                " send the rest in further calls",
            )
        return collection, read_writes(points)

    def _selected(
        self, request: pb.DeletePointsRequest | pb.UpdatePayloadRequest
    ) -> Sequence[str] | Filter:
        kind = request.WhichOneof("selector")
        if kind == "filter":
            return read_filter(request.filter)
        if kind == "ids":
            self._check_ids(request.ids.ids)
            return list(request.ids.ids)
        raise RequestError("selector", "set ids or filter")

    def _check_ids(self, ids: Sequence[str]) -> None:
        if not ids:
            raise RequestError("ids", "give at least one id")
        if len(ids) > self._max_points:
            raise RequestError("ids", f"{len(ids)} ids in one call; at most {self._max_points}")


def optional_filter(request: pb.ListPointsRequest | pb.CountPointsRequest) -> Filter | None:
    """The filter of a request, where it has one."""
    return read_filter(request.filter) if request.HasField("filter") else None


def read_writes(points: pb.PointWrites) -> PointWrites:
    """Points to write.

    Raises:
        RequestError: not exactly one of vectors and inputs, or a bad input.
    """
    check_vector_name(points.vector_name, "points.vector_name")
    if points.HasField("vectors") == bool(points.inputs):
        raise RequestError("points", "give either vectors or inputs")
    ids, payloads = list(points.ids), list(points.payloads)
    if points.HasField("vectors"):
        vectors = unpack(points.vectors, "points.vectors")
        return PointWrites(ids, vectors, read_modalities(points), payloads=payloads)
    if points.modalities:
        raise RequestError("points.modalities", "inputs say themselves what they are: leave it out")
    items = read_items(points.inputs, "points.inputs")
    options = read_options(points.options, "document")
    return PointWrites(ids, items=items, payloads=payloads, options=options)


def read_modalities(points: pb.PointWrites) -> list[str]:
    """What each vector was made from; empty where nothing is said.

    Raises:
        RequestError: a number that stands for nothing.
    """
    try:
        return [MODALITY_NAMES[number] for number in points.modalities]
    except KeyError as error:
        raise RequestError("points.modalities", f"modality {error} is unknown") from None
