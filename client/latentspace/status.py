"""From gRPC statuses to the client's errors: one table, used for calls and for single items."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from latentspace import errors
from latentspace.errors import FieldViolation, LatentspaceError
from latentspace.v1 import types_pb2

DETAILS_KEY = "grpc-status-details-bin"

ERROR_OF_CODE: Mapping[StatusCode, type[LatentspaceError]] = {
    StatusCode.CANCELLED: errors.CallCancelledError,
    StatusCode.UNKNOWN: errors.InternalError,
    StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
    StatusCode.DEADLINE_EXCEEDED: errors.DeadlineError,
    StatusCode.NOT_FOUND: errors.NotFoundError,
    StatusCode.ALREADY_EXISTS: errors.AlreadyExistsError,
    StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    StatusCode.RESOURCE_EXHAUSTED: errors.OverloadedError,
    StatusCode.FAILED_PRECONDITION: errors.FailedPreconditionError,
    StatusCode.ABORTED: errors.AbortedError,
    StatusCode.OUT_OF_RANGE: errors.OutOfRangeError,
    StatusCode.UNIMPLEMENTED: errors.UnimplementedByServerError,
    StatusCode.INTERNAL: errors.InternalError,
    StatusCode.UNAVAILABLE: errors.UnavailableError,
    StatusCode.DATA_LOSS: errors.DataLossError,
    StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
}
CODE_OF_NUMBER: Mapping[int, StatusCode] = {code.value[0]: code for code in StatusCode}

M = TypeVar("M", bound=Message)


class RpcFailure(Protocol):
    """What the errors of grpc and of grpc.aio have in common."""

    def code(self) -> StatusCode: ...  # noqa: D102
    def details(self) -> str | None: ...  # noqa: D102
    def trailing_metadata(self) -> Any: ...  # noqa: D102


def error_from_rpc(failure: RpcFailure, target: str, timeout_s: float) -> LatentspaceError:
    """The typed error of a failed call; where the client knows the cure, the message names it."""
    code, details = failure.code(), failure.details() or ""
    status = _rich_status(failure.trailing_metadata() or ())
    # proxies answer in the server's name without its details, or beside stale ones
    if status is None or status.code != code.value[0]:
        status = status_pb2.Status(code=code.value[0], message=details)
    if (
        code is StatusCode.RESOURCE_EXHAUSTED
        and not status.details
        and "larger than max" in details
    ):
        return errors.MessageTooLargeError(
            f"a message is over the limit ({details}): send or ask for fewer items at once, "
            "or raise max_message_bytes here and on the server"
        )
    error = error_from_status(status)
    error.message = _with_cure(code, error.message, target, timeout_s)
    error.args = (error.message,)
    return error


def error_from_status(status: status_pb2.Status) -> LatentspaceError:
    """The typed error of a `google.rpc.Status`; unknown details are passed over."""
    code = CODE_OF_NUMBER.get(status.code, StatusCode.UNKNOWN)
    info = _detail(status, error_details_pb2.ErrorInfo)
    request = _detail(status, error_details_pb2.BadRequest)
    retry = _detail(status, error_details_pb2.RetryInfo)
    call = _detail(status, error_details_pb2.RequestInfo)
    return ERROR_OF_CODE.get(code, LatentspaceError)(
        status.message or code.name,
        code=code,
        reason=info.reason if info else "",
        metadata=dict(info.metadata) if info else {},
        field_violations=[
            FieldViolation(v.field, v.description)
            for v in (request.field_violations if request else ())
        ],
        retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        request_id=call.request_id if call else "",
    )


class HasErrors(Protocol):
    """A reply that lists the items that failed."""

    @property
    def errors(self) -> Iterable[types_pb2.ItemError]: ...  # noqa: D102


def item_errors(parts: Iterable[tuple[int, HasErrors]]) -> dict[int, LatentspaceError]:
    """Errors of single items by position in the caller's list.

    Args:
        parts: replies to the parts of a batch, in order, each with the items that it answers.
    """
    errors: dict[int, LatentspaceError] = {}
    start = 0
    for items, reply in parts:
        # a position counts from where its part began
        errors |= {start + one.index: error_from_status(one.status) for one in reply.errors}
        start += items
    return errors


def _rich_status(trailing: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status | None:
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _detail(status: status_pb2.Status, kind: type[M]) -> M | None:
    for packed in status.details:
        detail = kind()
        if packed.Is(kind.DESCRIPTOR) and packed.Unpack(detail):
            return detail
    return None


# What gRPC says where a connection cannot be made, and what to do about it.
_CURES: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": "the server speaks plain text: leave out credentials=",
    "CERTIFICATE_VERIFY_FAILED": (
        "the server's certificate is of an authority unknown here: pass its root_certificates to "
        "grpc.ssl_channel_credentials()"
    ),
    "Failed parsing HTTP/2": "what answers there is not a gRPC server: name its gRPC port",
    "errors resolving": "the name of the host is unknown: check its spelling",
    "Socket closed": (
        "something answers there and hangs up: a server with TLS needs credentials=, and any other "
        "port than that of gRPC is a wrong one"
    ),
}
_START_ONE = "is the server running? Start one with `latentspace serve`, or name another address"


def _way_to_reach(message: str) -> str:
    return next((cure for sign, cure in _CURES.items() if sign in message), _START_ONE)


def _with_cure(code: StatusCode, message: str, target: str, timeout_s: float) -> str:
    match code:
        case StatusCode.UNAVAILABLE if "before receiving SETTINGS" in message:
            return (
                f"{target} is taken but nobody answers there yet: a server that starts loads its "
                f"models first, so try again in some seconds ({message})"
            )
        case StatusCode.UNAVAILABLE:
            return f"cannot reach {target} ({message}): {_way_to_reach(message)}"
        case StatusCode.DEADLINE_EXCEEDED:
            return (
                f"no answer from {target} within {timeout_s:g} s: pass a longer timeout_s, "
                "or send less at once"
            )
        case StatusCode.UNIMPLEMENTED:
            return f"the server at {target} does not have this call yet: update it ({message})"
        case _:
            return message
