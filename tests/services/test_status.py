"""The table of errors: complete, and as clients will see it."""

import inspect
import logging
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from embedders import errors as embedding
from index import errors as storage
from services.rpc.status import CODES, MESSAGE_BYTES, code_of, item_errors, reason_of, status_of
from services.runtime import errors as runtime

ROOTS = {embedding.EmbedderError, storage.VectorIndexError, runtime.ServiceError}
#: Failures of our own making: a caller can do nothing about them.
OURS = {*ROOTS, runtime.WorkError}


def classes(module: ModuleType) -> list[type[Exception]]:
    found: list[tuple[str, Any]] = inspect.getmembers(module, inspect.isclass)
    mine = [cls for _, cls in found if cls.__module__ == module.__name__]
    assert all(issubclass(cls, Exception) for cls in mine)
    return mine


@pytest.mark.parametrize("module", [embedding, storage, runtime])
def test_every_error_is_mapped_and_only_our_own_failures_are_internal(module: ModuleType) -> None:
    for cls in classes(module):
        nearest = next(c for c in cls.__mro__ if c in CODES)
        internal = CODES[nearest] is grpc.StatusCode.INTERNAL
        assert internal == (cls in OURS), cls


@pytest.mark.parametrize("module", [embedding, storage, runtime])
def test_the_tree_in_the_docstring_is_the_tree(module: ModuleType) -> None:
    assert module.__doc__ is not None
    drawn = {
        word
        for word in module.__doc__.replace("├──", " ").replace("└──", " ").split()
        if word.endswith("Error") and word.isidentifier()
    }
    assert drawn >= {cls.__name__ for cls in classes(module)} - {"FieldError"}


def details(status: Status) -> dict[str, ErrorInfo | BadRequest | RetryInfo]:
    found: dict[str, ErrorInfo | BadRequest | RetryInfo] = {}
    for packed in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found[kind.__name__] = message
    return found


def test_a_field_error_names_its_field() -> None:
    status = status_of(runtime.RequestError("k", "k must be 1 to 10, not 0"))
    found = details(status)
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert found["BadRequest"].field_violations[0].field == "k"
    assert found["ErrorInfo"].reason == "INVALID_REQUEST"
    assert found["ErrorInfo"].domain == "latentspace"


def test_overload_says_when_to_come_back() -> None:
    status = status_of(runtime.OverloadedError("model 'words'", 1.25))
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    delay = details(status)["RetryInfo"].retry_delay
    assert delay.seconds + delay.nanos / 1e9 == pytest.approx(1.25)


def test_an_unknown_key_carries_its_suggestions() -> None:
    info = details(status_of(embedding.UnknownKeyError("kinng", ["king", "kings"])))["ErrorInfo"]
    assert info.reason == "UNKNOWN_KEY"
    assert dict(info.metadata) == {"key": "kinng", "suggestions": "king,kings"}


def test_the_unexpected_shows_nothing_of_itself_but_a_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        status = status_of(ZeroDivisionError("secret"))
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(status)
    number = details(status)["ErrorInfo"].metadata["error_id"]
    assert number in status.message
    assert caplog.records[0].error_id == number  # type: ignore[attr-defined]


def test_item_errors_are_in_order_and_name_their_place() -> None:
    errors = {3: embedding.InvalidItemError("empty"), 1: embedding.UnknownKeyError("x")}
    found = item_errors(errors, "inputs")
    assert [e.index for e in found] == [1, 3]
    assert details(found[1].status)["BadRequest"].field_violations[0].field == "inputs[3]"


def test_reasons_and_codes_of_subclasses() -> None:
    assert reason_of(storage.CollectionNotFoundError("x")) == "COLLECTION_NOT_FOUND"
    assert code_of(storage.LockedError("/x", 1)) is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("text", ["x" * 100_000, "ü" * 50_000, "\ud800" * 5_000])
def test_a_message_of_any_length_fits_into_a_reply(text: str) -> None:
    status = status_of(runtime.RequestError(text, f"the start {text} the cure"))
    assert len(status.message.encode()) <= MESSAGE_BYTES
    assert status.message.endswith(" the cure")
    assert "the start" in status.message
    # gRPC clients refuse 8 KiB of metadata, and the status travels there in base64
    assert len(status.SerializeToString()) * 4 / 3 < 8192
