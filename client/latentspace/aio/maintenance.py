"""Calls that keep collections in order: optimising, recall, snapshots."""

from latentspace.aio.operations import AsyncOperation, AsyncOperationCalls
from latentspace.calls import CallKind
from latentspace.requests.options import SearchParams, search_params
from latentspace.results.collection import Recall, Snapshot
from latentspace.results.listing import Listing
from latentspace.v1 import collection_service_pb2


class AsyncMaintenanceCalls(AsyncOperationCalls):
    """Optimising, recall and snapshots. `timeout_s` limits the waiting; there is no default."""

    async def optimize(
        self,
        collection: str,
        *,
        full: bool = False,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Merges, compacts and builds indexes; `result` has "segments" and "bytes_freed".

        Args:
            full: merge all sealed segments into one.
            wait: for the end; else the operation is returned as it starts.
        """
        request = collection_service_pb2.OptimizeCollectionRequest(collection=collection, full=full)
        reply = await self._rpc.unary(
            self._stubs.collections.OptimizeCollection, request, CallKind.CREATE
        )
        return await self._started(reply.operation, wait, timeout_s)

    async def measure_recall(
        self,
        collection: str,
        *,
        k: int = 10,
        samples: int = 100,
        params: SearchParams | None = None,
        seed: int = 0,
        timeout_s: float | None = None,
    ) -> Recall:
        """Compares searches of sampled points with exact ones.

        Args:
            k: neighbours compared.
            samples: stored points used as queries, each without itself.
            params: effort to measure.
        """
        request = collection_service_pb2.MeasureRecallRequest(
            collection=collection, k=k, samples=samples, params=search_params(params), seed=seed
        )
        reply = await self._rpc.unary(
            self._stubs.collections.MeasureRecall, request, CallKind.LOAD, timeout_s
        )
        return Recall.from_message(reply)

    async def snapshot(
        self,
        collection: str,
        snapshot: str = "",
        *,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Writes a snapshot; `result` has "snapshot" (its name), "bytes" and "points".

        Args:
            snapshot: its name; "" is one made from the time.
        """
        request = collection_service_pb2.CreateSnapshotRequest(
            collection=collection, snapshot=snapshot
        )
        reply = await self._rpc.unary(
            self._stubs.collections.CreateSnapshot, request, CallKind.CREATE
        )
        return await self._started(reply.operation, wait, timeout_s)

    async def snapshots(
        self, collection: str = "", *, timeout_s: float | None = None
    ) -> Listing[Snapshot]:
        """Snapshots of one collection or of all, newest first."""
        request = collection_service_pb2.ListSnapshotsRequest(collection=collection)
        reply = await self._rpc.unary(
            self._stubs.collections.ListSnapshots, request, CallKind.READ, timeout_s
        )
        return Listing(map(Snapshot.from_message, reply.snapshots))

    async def delete_snapshot(self, snapshot: str, *, timeout_s: float | None = None) -> int:
        """Deletes a snapshot; returns how many bytes that freed.

        Raises:
            NotFoundError: there is none of this name.
        """
        request = collection_service_pb2.DeleteSnapshotRequest(snapshot=snapshot)
        reply = await self._rpc.unary(
            self._stubs.collections.DeleteSnapshot, request, CallKind.CREATE, timeout_s
        )
        return reply.bytes_freed

    async def restore(
        self,
        snapshot: str,
        collection: str,
        *,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Restores a snapshot as a new collection; `result` has "collection" and "points".

        Raises:
            AlreadyExistsError: the collection's name is taken.
        """
        request = collection_service_pb2.RestoreSnapshotRequest(
            snapshot=snapshot, collection=collection
        )
        reply = await self._rpc.unary(
            self._stubs.collections.RestoreSnapshot, request, CallKind.CREATE
        )
        return await self._started(reply.operation, wait, timeout_s)
