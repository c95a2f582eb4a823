"""OperationService."""

# ruff: noqa: N802 - methods have the names of the calls

import json
from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import ABORTED
from google.rpc.status_pb2 import Status

from latentspace.v1 import operation_service_pb2 as pb
from services.rpc.calls import Context
from services.runtime.errors import RequestError
from services.runtime.operations import Operation, Operations, OperationState

MAX_PAGE = 1000
DEFAULT_PAGE = 100
STATES = {
    pb.OPERATION_STATE_UNSPECIFIED: None,
    pb.OPERATION_STATE_PENDING: OperationState.PENDING,
    pb.OPERATION_STATE_RUNNING: OperationState.RUNNING,
    pb.OPERATION_STATE_SUCCEEDED: OperationState.SUCCEEDED,
    pb.OPERATION_STATE_FAILED: OperationState.FAILED,
    pb.OPERATION_STATE_CANCELLED: OperationState.CANCELLED,
}
STATE_NUMBERS = {state: number for number, state in STATES.items() if state}


class OperationServicer:
    """Long work of every service."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def GetOperation(
        self, request: pb.GetOperationRequest, context: Context
    ) -> pb.GetOperationResponse:
        """One operation."""
        found = self._operations.get(request.id)
        return pb.GetOperationResponse(operation=write_operation(found))

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Context
    ) -> pb.ListOperationsResponse:
        """Operations, newest first."""
        if request.page_size > MAX_PAGE:
            raise RequestError("page_size", f"page_size must be at most {MAX_PAGE}")
        if request.state not in STATES:
            raise RequestError("state", f"operation state {request.state} is unknown")
        page, token = self._operations.page(
            request.kind,
            STATES[request.state],
            request.page_size or DEFAULT_PAGE,
            request.page_token,
        )
        return pb.ListOperationsResponse(
            operations=[write_operation(o) for o in page], next_page_token=token
        )

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        """Asks an operation to stop."""
        found = self._operations.cancel(request.id)
        return pb.CancelOperationResponse(operation=write_operation(found))

    async def WatchOperation(
        self, request: pb.WatchOperationRequest, context: Context
    ) -> AsyncIterator[pb.WatchOperationResponse]:
        """The operation now, then at every change until it ends."""
        async for seen in self._operations.watch(request.id):
            yield pb.WatchOperationResponse(operation=write_operation(seen))


def write_operation(operation: Operation) -> pb.Operation:
    """An operation on the wire."""
    failed = operation.state is OperationState.FAILED
    return pb.Operation(
        id=operation.id,
        kind=operation.kind,
        target=operation.target,
        state=STATE_NUMBERS[operation.state],
        progress=pb.Progress(
            stage=operation.stage,
            done=operation.done,
            total=operation.total,
            unit=operation.unit,
            eta_ms=operation.eta_ms,
            metrics=operation.metrics,
        ),
        create_time=write_time(operation.created_ns),
        start_time=write_time(operation.started_ns),
        end_time=write_time(operation.ended_ns),
        error=Status(code=ABORTED, message=operation.failure) if failed else None,
        result=json.dumps(dict(operation.result)).encode() if operation.result else b"",
    )


def write_time(unix_ns: int) -> Timestamp | None:
    """A moment on the wire; None where it has not come."""
    if not unix_ns:
        return None
    moment = Timestamp()
    moment.FromNanoseconds(unix_ns)
    return moment
