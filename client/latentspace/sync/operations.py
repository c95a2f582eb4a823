"""Long work: handles that watch it, and the calls behind them."""
# Generated from aio/operations.py by scripts/generate_sync_client.py; edit that.

from collections.abc import Iterator
from dataclasses import dataclass, field

from latentspace.calls import CallKind
from latentspace.enums import OperationState, to_wire
from latentspace.errors import CallCancelledError, FailedPreconditionError, InternalError
from latentspace.results.listing import Listing
from latentspace.results.operation import OperationData, operation_fields
from latentspace.sync.base import Calls
from latentspace.v1 import operation_service_pb2


@dataclass(frozen=True, slots=True)
class Operation(OperationData):
    """Long work as it was when the server last told of it, and the calls to follow it."""

    _calls: "OperationCalls | None" = field(default=None, repr=False, compare=False)

    def watch(self, *, timeout_s: float | None = None) -> Iterator["Operation"]:
        """The operation now, then at every change until it ends."""
        return self._service().watch_operation(self.id, timeout_s=timeout_s)

    def wait(self, *, timeout_s: float | None = None) -> "Operation":
        """Waits for the end and returns the operation with its `result`.

        Raises:
            CallCancelledError: it was cancelled.
            LatentspaceError: it failed; the class is that of its error.
        """
        last = self
        if not last.ended:
            for current in self.watch(timeout_s=timeout_s):
                last = current
        # a server that goes down ends its streams before its operations
        if not last.ended:
            last = self.refresh()
        return _succeeded(last)

    def cancel(self) -> "Operation":
        """Asks the server to stop it; `wait` then says when it has."""
        return self._service().cancel_operation(self.id)

    def refresh(self) -> "Operation":
        """The operation as it is now."""
        return self._service().operation(self.id)

    def _service(self) -> "OperationCalls":
        if self._calls is None:
            raise FailedPreconditionError(f"operation {self.id} does not belong to a client")
        return self._calls


class OperationCalls(Calls):
    """Operations of every service."""

    def operation(self, id: str, *, timeout_s: float | None = None) -> Operation:
        """One operation.

        Raises:
            NotFoundError: there is none of this id.
        """
        request = operation_service_pb2.GetOperationRequest(id=id)
        reply = self._rpc.unary(
            self._stubs.operations.GetOperation, request, CallKind.READ, timeout_s
        )
        return self._operation(reply.operation)

    def operations(
        self,
        *,
        kind: str = "",
        state: OperationState | str | None = None,
        limit: int = 100,
        timeout_s: float | None = None,
    ) -> Listing[Operation]:
        """The newest operations, newest first.

        Args:
            kind: only "optimize", "train", "import", "evaluate", "snapshot" or "restore".
            state: only in this state.
            limit: at most so many.
        """
        newest: Listing[Operation] = Listing()
        token = ""
        while len(newest) < limit:
            request = operation_service_pb2.ListOperationsRequest(
                kind=kind,
                state=to_wire(OperationState, state, "state"),
                page_size=min(1000, limit - len(newest)),
                page_token=token,
            )
            reply = self._rpc.unary(
                self._stubs.operations.ListOperations, request, CallKind.READ, timeout_s
            )
            newest += [self._operation(message) for message in reply.operations]
            token = reply.next_page_token
            if not token:
                break
        return newest

    def cancel_operation(self, id: str, *, timeout_s: float | None = None) -> Operation:
        """Asks the server to stop an operation and to clean up after it."""
        request = operation_service_pb2.CancelOperationRequest(id=id)
        reply = self._rpc.unary(
            self._stubs.operations.CancelOperation, request, CallKind.WRITE, timeout_s
        )
        return self._operation(reply.operation)

    def watch_operation(self, id: str, *, timeout_s: float | None = None) -> Iterator[Operation]:
        """An operation now, then at every change until it ends; no deadline unless one is given."""
        request = operation_service_pb2.WatchOperationRequest(id=id)
        for reply in self._rpc.stream(
            self._stubs.operations.WatchOperation, request, CallKind.WATCH, timeout_s
        ):
            yield self._operation(reply.operation)

    def _operation(self, message: operation_service_pb2.Operation) -> Operation:
        return Operation(**operation_fields(message), _calls=self)

    def _started(
        self, message: operation_service_pb2.Operation, wait: bool, timeout_s: float | None
    ) -> Operation:
        """The operation that a call has started; at its end where the caller wants to wait."""
        operation = self._operation(message)
        return operation.wait(timeout_s=timeout_s) if wait else operation


def _succeeded(operation: Operation) -> Operation:
    match operation.state:
        case OperationState.SUCCEEDED:
            return operation
        case OperationState.CANCELLED:
            raise CallCancelledError(f"{operation.kind} {operation.id} was cancelled")
        case OperationState.FAILED if operation.error is not None:
            raise operation.error
    raise InternalError(f"{operation.kind} {operation.id} ended as {operation.state}")
