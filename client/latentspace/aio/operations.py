"""Long work: handles that watch it, and the calls behind them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.enums import OperationState, to_wire
from latentspace.errors import CallCancelledError, FailedPreconditionError, InternalError
from latentspace.results.listing import Listing
from latentspace.results.operation import OperationData, operation_fields
from latentspace.v1 import operation_service_pb2


@dataclass(frozen=True, slots=True)
class AsyncOperation(OperationData):
    """Long work as it was when the server last told of it, and the calls to follow it."""

    _calls: "AsyncOperationCalls | None" = field(default=None, repr=False, compare=False)

    def watch(self, *, timeout_s: float | None = None) -> AsyncIterator["AsyncOperation"]:
        """The operation now, then at every change until it ends."""
        return self._service().watch_operation(self.id, timeout_s=timeout_s)

    async def wait(self, *, timeout_s: float | None = None) -> "AsyncOperation":
        """Waits for the end and returns the operation with its `result`.

        Raises:
            CallCancelledError: it was cancelled.
            LatentspaceError: it failed; the class is that of its error.
        """
        last = self
        if not last.ended:
            async for current in self.watch(timeout_s=timeout_s):
                last = current
        # a server that goes down ends its streams before its operations
        if not last.ended:
            last = await self.refresh()
        return _succeeded(last)

    async def cancel(self) -> "AsyncOperation":
        """Asks the server to stop it; `wait` then says when it has."""
        return await self._service().cancel_operation(self.id)

    async def refresh(self) -> "AsyncOperation":
        """The operation as it is now."""
        return await self._service().operation(self.id)

    def _service(self) -> "AsyncOperationCalls":
        if self._calls is None:
            raise FailedPreconditionError(f"operation {self.id} does not belong to a client")
        return self._calls


class AsyncOperationCalls(AsyncCalls):
    """Operations of every service."""

    async def operation(self, id: str, *, timeout_s: float | None = None) -> AsyncOperation:
        """One operation.

        Raises:
            NotFoundError: there is none of this id.
        """
        request = operation_service_pb2.GetOperationRequest(id=id)
        reply = await self._rpc.unary(
            self._stubs.operations.GetOperation, request, CallKind.READ, timeout_s
        )
        return self._operation(reply.operation)

    async def operations(
        self,
        *,
        kind: str = "",
        state: OperationState | str | None = None,
        limit: int = 100,
        timeout_s: float | None = None,
    ) -> Listing[AsyncOperation]:
        """The newest operations, newest first.

        Args:
            kind: only "optimize", "train", "import", "evaluate", "snapshot" or "restore".
            state: only in this state.
            limit: at most so many.
        """
        newest: Listing[AsyncOperation] = Listing()
        token = ""
        while len(newest) < limit:
            request = operation_service_pb2.ListOperationsRequest(
                kind=kind,
                state=to_wire(OperationState, state, "state"),
                page_size=min(1000, limit - len(newest)),
                page_token=token,
            )
            reply = await self._rpc.unary(
                self._stubs.operations.ListOperations, request, CallKind.READ, timeout_s
            )
            newest += [self._operation(message) for message in reply.operations]
            token = reply.next_page_token
            if not token:
                break
        return newest

    async def cancel_operation(self, id: str, *, timeout_s: float | None = None) -> AsyncOperation:
        """Asks the server to stop an operation and to clean up after it."""
        request = operation_service_pb2.CancelOperationRequest(id=id)
        reply = await self._rpc.unary(
            self._stubs.operations.CancelOperation, request, CallKind.WRITE, timeout_s
        )
        return self._operation(reply.operation)

    async def watch_operation(
        self, id: str, *, timeout_s: float | None = None
    ) -> AsyncIterator[AsyncOperation]:
        """An operation now, then at every change until it ends; no deadline unless one is given."""
        request = operation_service_pb2.WatchOperationRequest(id=id)
        async for reply in self._rpc.stream(
            self._stubs.operations.WatchOperation, request, CallKind.WATCH, timeout_s
        ):
            yield self._operation(reply.operation)

    def _operation(self, message: operation_service_pb2.Operation) -> AsyncOperation:
        return AsyncOperation(**operation_fields(message), _calls=self)

    async def _started(
        self, message: operation_service_pb2.Operation, wait: bool, timeout_s: float | None
    ) -> AsyncOperation:
        """The operation that a call has started; at its end where the caller wants to wait."""
        operation = self._operation(message)
        return await operation.wait(timeout_s=timeout_s) if wait else operation


def _succeeded(operation: AsyncOperation) -> AsyncOperation:
    match operation.state:
        case OperationState.SUCCEEDED:
            return operation
        case OperationState.CANCELLED:
            raise CallCancelledError(f"{operation.kind} {operation.id} was cancelled")
        case OperationState.FAILED if operation.error is not None:
            raise operation.error
    raise InternalError(f"{operation.kind} {operation.id} ended as {operation.state}")
