"""Everything that the client raises.

LatentspaceError
├── RequestError                     the request is at fault; sent again it fails again
│   ├── InvalidArgumentError         a value does not fit; `field_violations` name the fields
│   │   ├── OutOfRangeError          ... because it lies beyond what there is
│   │   ├── FilterSyntaxError        a filter is not written as filters are; found before sending
│   │   └── RowCountError            an input gave no vector, or several, where one was wanted
│   ├── NotFoundError                no such model, collection, point, key, ...
│   ├── AlreadyExistsError           the name is taken
│   ├── FailedPreconditionError      the state does not allow it: another space, read-only, ...
│   ├── MessageTooLargeError         one item, or one reply, is over the message limit
│   ├── UnimplementedByServerError   this server does not have this call
│   ├── PermissionDeniedError        the caller may not do it
│   └── UnauthenticatedError         the server does not know the caller
├── TransientError                   may be over in a moment; the client has retried what is safe
│   ├── OverloadedError              refused for load; `retry_after_s` says when to come back
│   ├── UnavailableError             no connection, or the server is going down
│   ├── DeadlineError                no answer within `timeout_s`
│   ├── AbortedError                 it collided with another change
│   └── CallCancelledError           the call or the operation was cancelled
├── ServerError                      the server is at fault
│   ├── InternalError                a defect; its log says more
│   └── DataLossError                stored data are damaged
└── PartialError                     some items of a batch failed, the others worked
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of a request, and what is wrong with it."""

    field: str
    description: str


class LatentspaceError(Exception):
    """Base of all errors of the client.

    Args:
        message: what went wrong, and the cure.
        code: gRPC status code; None means the one that the class stands for.
        reason: the server's machine-readable reason, such as "SPACE_MISMATCH", or "".
        metadata: what the reason speaks of, such as {"collection": "photos"}.
        field_violations: fields at fault.
        retry_after_s: seconds to wait before another try; None where the server said nothing.
        request_id: of the call, as in the server's log; "" where no server answered.
    """

    default_code: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: StatusCode | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        if request_id:  # tracebacks show it; messages stay what people read
            self.add_note(f"request {request_id}")

    def __str__(self) -> str:
        fields = [f"{v.field}: {v.description}" for v in self.field_violations]
        # most servers say the same in both places
        said = any(v.description == self.message for v in self.field_violations)
        first = [] if said else [self.message]
        return "; ".join([*first, *(f for f in fields if f not in self.message)]) or self.message


class RequestError(LatentspaceError):
    """The request is at fault; sent again it fails again."""


class InvalidArgumentError(RequestError):
    """A value does not fit; `field_violations` name the fields where the server knows them."""

    default_code = StatusCode.INVALID_ARGUMENT


class OutOfRangeError(InvalidArgumentError):
    """A value lies beyond what there is."""

    default_code = StatusCode.OUT_OF_RANGE


class FilterSyntaxError(InvalidArgumentError):
    """A filter is not written as filters are; `path` leads to the place, as in "or[1].year.gte"."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"filter{'.' if path and path[0] != '[' else ''}{path}: {problem}")
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class RowCountError(InvalidArgumentError):
    """An input gave no vector, or several, where exactly one was wanted."""


class NotFoundError(RequestError):
    """There is no such model, collection, point, key, label set, operation or snapshot."""

    default_code = StatusCode.NOT_FOUND


class AlreadyExistsError(RequestError):
    """The name is taken."""

    default_code = StatusCode.ALREADY_EXISTS


class FailedPreconditionError(RequestError):
    """The state of things does not allow it: another space, a read-only collection, ..."""

    default_code = StatusCode.FAILED_PRECONDITION


class MessageTooLargeError(RequestError):
    """One item, or one reply, is over the message limit."""

    default_code = StatusCode.RESOURCE_EXHAUSTED


class UnimplementedByServerError(RequestError):
    """This server does not have this call."""

    default_code = StatusCode.UNIMPLEMENTED


class PermissionDeniedError(RequestError):
    """The caller may not do it."""

    default_code = StatusCode.PERMISSION_DENIED


class UnauthenticatedError(RequestError):
    """The server does not know the caller."""

    default_code = StatusCode.UNAUTHENTICATED


class TransientError(LatentspaceError):
    """May be over in a moment; the client has already retried what is safe to retry."""


class OverloadedError(TransientError):
    """Refused for load; `retry_after_s` says when to come back."""

    default_code = StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(TransientError):
    """No connection, or the server is going down."""

    default_code = StatusCode.UNAVAILABLE


class DeadlineError(TransientError):
    """No answer within `timeout_s`."""

    default_code = StatusCode.DEADLINE_EXCEEDED


class AbortedError(TransientError):
    """It collided with another change."""

    default_code = StatusCode.ABORTED


class CallCancelledError(TransientError):
    """The call or the operation was cancelled."""

    default_code = StatusCode.CANCELLED


class ServerError(LatentspaceError):
    """The server is at fault."""


class InternalError(ServerError):
    """A defect of the server; its log says more."""

    default_code = StatusCode.INTERNAL


class DataLossError(ServerError):
    """Stored data are damaged."""

    default_code = StatusCode.DATA_LOSS


class PartialError(LatentspaceError):
    """Some items of a batch failed, the others worked.

    Args:
        vectors: what `embed` made, float32 (n, dim) with NaN in rows that failed; else None.
        errors: position of an item in the caller's list to its error.
        result: what the call would have returned with on_error="return".
    """

    def __init__(
        self,
        vectors: NDArray[np.float32] | None,
        errors: Mapping[int, LatentspaceError],
        result: object = None,
    ) -> None:
        position, first = next(iter(errors.items()))
        super().__init__(
            f"{len(errors)} item{'s' * (len(errors) > 1)} failed; item {position}: {first} "
            '(the rest worked: see .errors and .result, or pass on_error="return")',
            code=first.code,
        )
        self.vectors = vectors
        self.errors: dict[int, LatentspaceError] = dict(errors)
        self.result = vectors if result is None else result

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[LatentspaceError], args: tuple[Any, ...], state: dict[str, Any]
) -> LatentspaceError:
    """Copies and unpickles errors whose __init__ does not take its own `args`."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
