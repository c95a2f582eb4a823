import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from latentspace import errors
from latentspace.errors import (
    FieldViolation,
    FilterSyntaxError,
    LatentspaceError,
    NotFoundError,
    PartialError,
)
from latentspace.status import DETAILS_KEY, ERROR_OF_CODE, error_from_rpc, error_from_status

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, LatentspaceError)
}


class Failure:
    def __init__(
        self, code: StatusCode, details: str | None, rich: status_pb2.Status | bytes | None = None
    ) -> None:
        self._code, self._details, self._rich = code, details, rich

    def code(self) -> StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> object:
        if self._rich is None:
            return None
        data = self._rich if isinstance(self._rich, bytes) else self._rich.SerializeToString()
        return (("x", "y"), (DETAILS_KEY, data))


def rich(code: StatusCode, message: str, *details: object) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)  # type: ignore[arg-type]
        status.details.append(packed)
    return status


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[int, str] = {}
    parents = {}
    for line in str(errors.__doc__).splitlines():
        if found := re.match(r"^([│ ├└─]*)(\w+Error)\b", line):
            depth, name = len(found[1]) // 4, found[2]
            drawn[depth] = name
            parents[name] = drawn[depth - 1] if depth else "Exception"
    assert parents == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}


def test_every_status_code_has_its_error() -> None:
    assert set(ERROR_OF_CODE) == set(StatusCode) - {StatusCode.OK}
    for code, kind in ERROR_OF_CODE.items():
        error = error_from_rpc(Failure(code, "because"), "host:1", 3.0)
        assert type(error) is kind
        assert error.code is code
        assert code is StatusCode.DEADLINE_EXCEEDED or "because" in str(error)


def test_only_local_errors_and_groups_have_no_code_of_their_own() -> None:
    groups = {"LatentspaceError", "RequestError", "TransientError", "ServerError"}
    local = {"FilterSyntaxError", "RowCountError", "MessageTooLargeError", "PartialError"}
    mapped = {kind.__name__ for kind in ERROR_OF_CODE.values()}
    assert set(CLASSES) == mapped | groups | local


def test_details_are_read() -> None:
    status = rich(
        StatusCode.RESOURCE_EXHAUSTED,
        "the queue is full",
        error_details_pb2.ErrorInfo(reason="QUEUE_FULL", metadata={"model": "words"}),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=250_000_000)),
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field="k", description="too large")
            ]
        ),
    )
    error = error_from_rpc(Failure(StatusCode.RESOURCE_EXHAUSTED, "plain", status), "h:1", 1.0)
    assert isinstance(error, errors.OverloadedError)
    assert error.message == "the queue is full"
    assert (error.reason, error.metadata) == ("QUEUE_FULL", {"model": "words"})
    assert error.retry_after_s == 0.25
    assert error.field_violations == (FieldViolation("k", "too large"),)
    assert str(error) == "the queue is full; k: too large"


@pytest.mark.parametrize("data", [b"\xff\xff not a status", b""])
def test_damaged_details_do_not_hide_the_error(data: bytes) -> None:
    error = error_from_rpc(Failure(StatusCode.NOT_FOUND, "no model", data), "h:1", 1.0)
    assert isinstance(error, NotFoundError)
    assert str(error) == "no model"


def test_details_of_another_code_are_not_believed() -> None:
    status = rich(StatusCode.INTERNAL, "boom")
    error = error_from_rpc(Failure(StatusCode.NOT_FOUND, "no model", status), "h:1", 1.0)
    assert (type(error), str(error)) == (NotFoundError, "no model")


def test_a_code_of_the_future_is_an_error_all_the_same() -> None:
    error = error_from_status(status_pb2.Status(code=99, message="odd"))
    assert (type(error), error.code) == (errors.InternalError, StatusCode.UNKNOWN)


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (StatusCode.UNAVAILABLE, "is the server running?"),
        (StatusCode.DEADLINE_EXCEEDED, "within 3 s: pass a longer timeout_s"),
        (StatusCode.UNIMPLEMENTED, "update it"),
    ],
)
def test_messages_name_the_cure(code: StatusCode, cure: str) -> None:
    error = error_from_rpc(Failure(code, None), "host:1", 3.0)
    assert cure in str(error)
    assert "host:1" in str(error)


def test_size_limits_are_told_from_overload() -> None:
    details = "SERVER: Received message larger than max (9 vs. 4)"
    error = error_from_rpc(Failure(StatusCode.RESOURCE_EXHAUSTED, details), "h:1", 1.0)
    assert type(error) is errors.MessageTooLargeError
    assert "max_message_bytes" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no", reason="R", metadata={"a": "b"}, retry_after_s=1.5),
        FilterSyntaxError("or[1].year", "is empty"),
        PartialError(np.zeros((2, 3), np.float32), {1: NotFoundError("no")}),
    ],
)
def test_errors_survive_copies_and_pickles(error: LatentspaceError) -> None:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other).keys() == vars(error).keys()


def test_partial_errors_speak_of_the_first() -> None:
    error = PartialError(None, {3: NotFoundError("no point"), 5: NotFoundError("no")}, [1, 2])
    assert str(error).startswith("2 items failed; item 3: no point")
    assert (error.code, error.result, list(error.errors)) == (StatusCode.NOT_FOUND, [1, 2], [3, 5])
