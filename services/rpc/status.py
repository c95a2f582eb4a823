"""Exceptions to gRPC status: one table, google.rpc details."""

import logging
import re
import uuid
from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from embedders import errors as embedding
from index import errors as storage
from latentspace.v1.types_pb2 import ItemError
from services.runtime import errors as runtime

logger = logging.getLogger(__name__)

DOMAIN = "latentspace"
DETAILS_KEY = "grpc-status-details-bin"
Code = grpc.StatusCode
# Trailers over 8 KiB do not reach the caller, who would see a broken stream in their place. They
# hold a message three times, once with up to three bytes for each of its own.
MESSAGE_BYTES = 1000
NAME_BYTES = 200

#: A class not named here takes the code of its nearest base; anything else is INTERNAL.
CODES: Mapping[type[Exception], grpc.StatusCode] = {
    embedding.EmbedderError: Code.INTERNAL,
    embedding.ModelError: Code.FAILED_PRECONDITION,
    embedding.OptionError: Code.INVALID_ARGUMENT,
    embedding.ItemError: Code.INVALID_ARGUMENT,
    embedding.UnknownKeyError: Code.NOT_FOUND,
    embedding.NoFaceError: Code.NOT_FOUND,
    storage.VectorIndexError: Code.INTERNAL,
    storage.CollectionError: Code.FAILED_PRECONDITION,
    storage.CollectionNotFoundError: Code.NOT_FOUND,
    storage.CollectionExistsError: Code.ALREADY_EXISTS,
    storage.FieldError: Code.INVALID_ARGUMENT,
    storage.PointNotFoundError: Code.NOT_FOUND,
    storage.StorageError: Code.FAILED_PRECONDITION,
    storage.RecipeError: Code.INVALID_ARGUMENT,
    runtime.ServiceError: Code.INTERNAL,
    runtime.RequestError: Code.INVALID_ARGUMENT,
    runtime.SpaceMismatchError: Code.FAILED_PRECONDITION,
    runtime.ModelNotFoundError: Code.NOT_FOUND,
    runtime.ModelNotReadyError: Code.FAILED_PRECONDITION,
    runtime.ModelExistsError: Code.ALREADY_EXISTS,
    runtime.ModelInUseError: Code.FAILED_PRECONDITION,
    runtime.ModelConfiguredError: Code.FAILED_PRECONDITION,
    runtime.SourceDeniedError: Code.PERMISSION_DENIED,
    runtime.JobError: Code.ABORTED,
    runtime.OperationNotFoundError: Code.NOT_FOUND,
    runtime.LabelSetNotFoundError: Code.NOT_FOUND,
    runtime.LabelSetExistsError: Code.ALREADY_EXISTS,
    runtime.SnapshotNotFoundError: Code.NOT_FOUND,
    runtime.AliasError: Code.FAILED_PRECONDITION,
    runtime.AliasNotFoundError: Code.NOT_FOUND,
    runtime.OverloadedError: Code.RESOURCE_EXHAUSTED,
    runtime.NotServedError: Code.UNIMPLEMENTED,
    runtime.DeadlineError: Code.DEADLINE_EXCEEDED,
}


def code_of(error: Exception) -> grpc.StatusCode:
    """The gRPC code of an exception; INTERNAL for what nobody expected."""
    return next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), Code.INTERNAL)


def reason_of(error: Exception) -> str:
    """`ModelNotFoundError` -> "MODEL_NOT_FOUND", `FilterError` -> "INVALID_FILTER"."""
    name = type(error).__name__.removesuffix("Error")
    reason = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    invalid = code_of(error) is Code.INVALID_ARGUMENT and "_" not in reason
    return f"INVALID_{reason}" if invalid else reason


def status_of(error: Exception, field_prefix: str = "") -> Status:
    """google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they apply.

    An unexpected exception is logged under a number and shows nothing of itself.
    """
    code = code_of(error)
    if code is Code.INTERNAL:
        return internal(error)
    message = shortened(str(error), MESSAGE_BYTES)
    details: list[Message] = [
        ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=metadata_of(error))
    ]
    field = getattr(error, "field", "") or field_prefix
    if code is Code.INVALID_ARGUMENT and field:
        name = shortened(field, NAME_BYTES)
        violation = BadRequest.FieldViolation(field=name, description=message)
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, runtime.OverloadedError):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    return Status(code=code.value[0], message=message, details=[packed(d) for d in details])


def internal(error: Exception) -> Status:
    """INTERNAL, with a number that finds the traceback in the log."""
    number = uuid.uuid4().hex[:12]
    logger.error("internal error", exc_info=error, extra={"error_id": number})
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"error_id": number})
    message = f"internal error {number}; the server's log has it"
    return Status(code=Code.INTERNAL.value[0], message=message, details=[packed(info)])


def metadata_of(error: Exception) -> dict[str, str]:
    """What an error knows beside its message, for programs."""
    found = {}
    if field := getattr(error, "field", ""):
        found["field"] = field
    if isinstance(error, embedding.UnknownKeyError):
        found["key"] = error.key
        found["suggestions"] = ",".join(error.suggestions)
    return {name: shortened(value, NAME_BYTES) for name, value in found.items()}


def shortened(text: str, most: int) -> str:
    """Text of at most `most` bytes of UTF-8: its end is kept too, where the cure stands."""
    data = text.encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    end = most // 3
    parts = data[: most - end - 5], data[-end:]
    return " ... ".join(part.decode(errors="ignore") for part in parts)


def item_errors(errors: Mapping[int, Exception], column: str) -> list[ItemError]:
    """Per-item errors of a batch by position; `column` names the list they speak of."""
    return [
        ItemError(index=i, status=status_of(errors[i], f"{column}[{i}]")) for i in sorted(errors)
    ]


def packed(message: Message) -> Any:
    """A message as google.protobuf.Any."""
    found = Any()
    found.Pack(message)
    return found
