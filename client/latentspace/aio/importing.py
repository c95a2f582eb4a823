"""Calls that write any number of points."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from latentspace.aio.operations import AsyncOperation, AsyncOperationCalls
from latentspace.calls import CallKind
from latentspace.payloads import dump_payload
from latentspace.requests.importing import NewPoint, import_requests, sifted_points
from latentspace.requests.options import EmbedOptions
from latentspace.requests.points import MAX_INPUTS
from latentspace.results.partial import OnError, raise_failed
from latentspace.results.point import UpsertedBatch
from latentspace.v1 import collection_service_pb2


class AsyncImportCalls(AsyncOperationCalls):
    """Points as a stream, and from files of the server."""

    async def upsert_stream(
        self,
        collection: str,
        points: Iterable[NewPoint],
        *,
        options: EmbedOptions | None = None,
        batch_items: int = MAX_INPUTS,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> AsyncIterator[UpsertedBatch]:
        """Writes any number of points, batch after batch in order, in flat memory.

        Points are taken as they are needed: a few batches are under way, and no more are sent
        before the next is taken from here. A batch that comes out is on disk. The server treats
        a stream as bulk work, which gives way to single calls, and makes it wait where it would
        refuse a call for load. A stream that loses its connection goes on with the batches that
        were not answered, so a point may be written twice, in the same way.

        Args:
            options: how raw inputs are embedded.
            batch_items: points of a batch, the last apart; large points make smaller batches.
            on_error: "return" gives what was refused in each batch's `errors`; else the first
                batch with such a point ends the stream.
            timeout_s: seconds for the whole stream; None is no limit.

        Raises:
            PartialError: some points of a batch were refused; its `result` is the batch.
        """
        named: deque[str] = deque()
        sieve = sifted_points(_noting(points, named))
        replies = self._rpc.exchange(
            self._stubs.collections.ImportPoints,
            import_requests(collection, sieve, options, self._rpc.options, batch_items),
            CallKind.WATCH,
            timeout_s,
        )
        async for request, reply in replies:
            sifted = sieve.taken(len(request.points.ids))
            ids = [named.popleft() for _ in range(sifted.count)]
            batch = UpsertedBatch.from_message(ids, reply, sifted)
            raise_failed(batch.errors, len(batch.ids), batch, on_error)
            yield batch
        if (rest := sieve.rest()).count:  # the last of all could not be sent
            batch = UpsertedBatch(tuple(named), 0, 0, rest.errors)
            raise_failed(batch.errors, len(batch.ids), batch, on_error)
            yield batch

    async def import_source(
        self,
        collection: str,
        source: str | PathLike[str],
        *,
        params: Mapping[str, Any] | None = None,
        wait: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Starts bringing a collection up to date with a file or folder of the server.

        `result` has "read", "written", "unchanged", "failed", "deleted", "seconds", the first 20
        "failures", "dead_letters" (a file of the server with all of them, or "") and
        "provenance". It goes on without its caller; started again, it goes on where it stood.

        Args:
            collection: name or alias; it must be there.
            source: file or folder that the server can see, below one of its `roots`.
            params: how it is read and indexed: the names of `SourceOptions`, `JobOptions` and
                `EmbedOptions`; unknown ones are refused.
            wait: for the end; else the operation is returned as it starts.
            timeout_s: limits the waiting.
        """
        request = collection_service_pb2.ImportSourceRequest(
            collection=collection, source=fspath(source), params=dump_payload(params, "params")
        )
        reply = await self._rpc.unary(
            self._stubs.collections.ImportSource, request, CallKind.CREATE
        )
        return await self._started(reply.operation, wait, timeout_s)


def _noting(points: Iterable[NewPoint], ids: deque[str]) -> Iterator[NewPoint]:
    """The same points; their ids are noted, since a batch names those that failed too."""
    for point in points:
        ids.append(str(getattr(point, "id", "")))
        yield point
