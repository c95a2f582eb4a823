"""The calls of CollectionService that start long work, or keep collections well: import,
optimise, measure, snapshot."""

# ruff: noqa: N802 - methods have the names of the calls

from index.base import Collection
from index.errors import RecipeError
from index.types import SearchParameters
from latentspace.v1 import collection_service_pb2 as pb
from services.rpc.calls import Context, deadline_of
from services.rpc.imports import Imports
from services.rpc.operation import write_operation, write_time
from services.rpc.shapes import read_fields, read_index, read_search, write_collection
from services.rpc.training import read_params
from services.runtime.collections import Collections, check_name
from services.runtime.errors import RequestError
from services.runtime.operations import Operation, Operations, Report
from services.runtime.pools import run_in
from services.runtime.ranking import check_k
from services.runtime.recall import measure_recall
from services.runtime.snapshots import Snapshots

DEFAULT_K, DEFAULT_SAMPLES, MAX_SAMPLES = 10, 100, 10_000
# of all samples together, each kept as a number of 8 bytes
MAX_NEIGHBOURS = 4_000_000


class MaintenanceCalls:
    """Part of CollectionServicer."""

    def __init__(
        self,
        collections: Collections,
        operations: Operations,
        snapshots: Snapshots,
        imports: Imports,
    ) -> None:
        self._collections, self._operations = collections, operations
        self._snapshots, self._imports = snapshots, imports

    async def ImportSource(
        self, request: pb.ImportSourceRequest, context: Context
    ) -> pb.ImportSourceResponse:
        """Starts an import from a file or folder of the server."""
        params = read_params(request.params)
        operation = await self._imports.start(request.collection, request.source, params)
        return pb.ImportSourceResponse(operation=write_operation(operation))

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Declares fields, sets default effort, or starts changing the recipe."""
        collection = self._collections.get(request.collection)
        changed = request.HasField("recipe") or request.HasField("index")
        recipe = request.recipe if request.HasField("recipe") else collection.spec.recipe
        await run_in(
            self._collections.pools.write,
            collection.update,
            add_fields=read_fields(request.add_fields, "add_fields"),
            recipe=recipe if changed else None,
            index=read_index(request.index) if request.HasField("index") else None,
            search=read_search(request.search) if request.HasField("search") else None,
        )
        started = self._change_recipe(collection, recipe) if changed else None
        return pb.UpdateCollectionResponse(
            collection=write_collection(self._collections.describe(collection)),
            operation=write_operation(started) if started else None,
        )

    def _change_recipe(self, collection: Collection, recipe: str) -> Operation:
        def work(report: Report) -> dict[str, str]:
            collection.optimize(False, report)
            info = collection.info
            if info.spec.recipe != recipe:
                raise RecipeError(info.state_reason or f"recipe {recipe!r} was not taken")
            return {"recipe": info.recipe}

        return self._operations.start("change_recipe", collection.name, "points", work)

    async def OptimizeCollection(
        self, request: pb.OptimizeCollectionRequest, context: Context
    ) -> pb.OptimizeCollectionResponse:
        """Starts merging, compacting and index building."""
        collection = self._collections.get(request.collection)
        name, full = collection.name, request.full

        def work(report: Report) -> dict[str, int]:
            before = collection.info.disk_bytes
            collection.optimize(full, report)
            info = collection.info
            freed = max(0, before - info.disk_bytes)
            return {"segments": len(info.segments), "bytes_freed": freed}

        operation = self._operations.start("optimize", name, "points", work)
        return pb.OptimizeCollectionResponse(operation=write_operation(operation))

    async def MeasureRecall(
        self, request: pb.MeasureRecallRequest, context: Context
    ) -> pb.MeasureRecallResponse:
        """Compares sampled searches with exact ones."""
        k, samples = request.k or DEFAULT_K, request.samples or DEFAULT_SAMPLES
        check_k(k, 1)
        if samples > MAX_SAMPLES:
            raise RequestError("samples", f"samples must be at most {MAX_SAMPLES}")
        if samples * k > MAX_NEIGHBOURS:
            raise RequestError(
                "samples",
                f"{samples} samples of k {k}: at most {MAX_NEIGHBOURS:,} neighbours in all; ask for"
                " fewer samples, or a smaller k",
            )
        collection = self._collections.get(request.collection)
        params: SearchParameters = read_search(request.params)
        pool = self._collections.pools.search
        deadline = deadline_of(context)
        found = await run_in(
            pool, measure_recall, collection, k, samples, params, request.seed, deadline
        )
        return pb.MeasureRecallResponse(
            recall=found.recall,
            low=found.low,
            high=found.high,
            samples=found.samples,
            mean_search_ns=found.mean_search_ns,
            mean_exact_ns=found.mean_exact_ns,
        )

    async def CreateSnapshot(
        self, request: pb.CreateSnapshotRequest, context: Context
    ) -> pb.CreateSnapshotResponse:
        """Starts writing a snapshot."""
        info = self._collections.get(request.collection).info
        if info.read_only:
            raise RequestError("collection", f"{info.name!r} is a vocabulary: keep its model file")
        name = self._snapshots.name_for(info.name, request.snapshot)
        operation = self._operations.start(
            "snapshot",
            info.name,
            "points",
            lambda report: self._snapshots.create(info.name, name, report),
        )
        return pb.CreateSnapshotResponse(operation=write_operation(operation))

    async def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, context: Context
    ) -> pb.ListSnapshotsResponse:
        """Snapshots, newest first."""
        pool = self._collections.pools.search
        found = await run_in(pool, self._snapshots.all, request.collection)
        return pb.ListSnapshotsResponse(
            snapshots=[
                pb.Snapshot(
                    name=snapshot.name,
                    collection=snapshot.collection,
                    points=snapshot.points,
                    bytes=snapshot.bytes,
                    create_time=write_time(snapshot.created_ns),
                    version=snapshot.version,
                )
                for snapshot in found
            ]
        )

    async def DeleteSnapshot(
        self, request: pb.DeleteSnapshotRequest, context: Context
    ) -> pb.DeleteSnapshotResponse:
        """Deletes a snapshot and its archive."""
        pool = self._collections.pools.write
        freed = await run_in(pool, self._snapshots.delete, request.snapshot)
        return pb.DeleteSnapshotResponse(bytes_freed=freed)

    async def RestoreSnapshot(
        self, request: pb.RestoreSnapshotRequest, context: Context
    ) -> pb.RestoreSnapshotResponse:
        """Starts restoring a snapshot under a new name."""
        name, target = request.snapshot, request.collection
        self._snapshots.check(name)
        check_name("collection", target)
        self._collections.check_free(target)
        operation = self._operations.start(
            "restore",
            target,
            "points",
            lambda report: self._snapshots.restore(name, target, report),
        )
        return pb.RestoreSnapshotResponse(operation=write_operation(operation))
