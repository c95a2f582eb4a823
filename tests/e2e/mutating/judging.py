"""What is asked of every answer."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from latentspace.v1 import embedding_service_pb2 as embedding
from latentspace.v1 import search_service_pb2 as search
from latentspace.v1 import types_pb2 as types

Code = grpc.StatusCode
# a caller did nothing to deserve these, or the server cannot say what happened
NEVER = frozenset({Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS, Code.UNAVAILABLE, Code.ABORTED})
NUMBERS = {code.value[0]: code for code in Code}
# of a message for people; more is the input again
LONGEST_MESSAGE = 2000


def faults_of_error(error: grpc.RpcError | grpc.aio.AioRpcError) -> Iterator[str]:
    """What is wrong with a refusal."""
    call: Any = error
    code, message = call.code(), call.details() or ""
    if code in NEVER:
        yield f"{code.name}: {message}"
        return
    trailers = dict(call.trailing_metadata() or ())
    if "grpc-status-details-bin" not in trailers:
        yield f"{code.name} without details: {message[:300]}"
        return
    status = Status.FromString(trailers["grpc-status-details-bin"])
    if status.code != code.value[0] or status.message != message:
        yield f"details {status.code} {status.message!r:.300}, call {code} {message!r:.300}"
    yield from faults_of_status(status)


def faults_of_status(status: Status) -> Iterator[str]:
    """What is wrong with the status of a call or of an item."""
    code = NUMBERS.get(status.code)
    if code is None or code in NEVER or code is Code.OK:
        yield f"{code}: {status.message}"
    if not 0 < len(status.message) <= LONGEST_MESSAGE:
        yield f"{code}: {len(status.message)} letters of message: {status.message!r:.200}"
    details = {packed.TypeName().rpartition(".")[2]: packed for packed in status.details}
    info = ErrorInfo()
    if "ErrorInfo" not in details or not details["ErrorInfo"].Unpack(info):
        yield f"{code} without ErrorInfo: {status.message}"
    elif info.domain != "latentspace" or not info.reason:
        yield f"{code}: ErrorInfo {info}"
    if code is Code.RESOURCE_EXHAUSTED and "RetryInfo" not in details:
        yield f"{code} without {RetryInfo.DESCRIPTOR.name}: {status.message}"
    bad = BadRequest()
    if "BadRequest" in details and details["BadRequest"].Unpack(bad):
        yield from (f"{code}: a violation of no field" for v in bad.field_violations if not v.field)


def faults_of_reply(reply: Message) -> Iterator[str]:
    """What is wrong inside a reply that says OK."""
    for part in within(reply):
        if isinstance(part, types.ItemError):
            yield from faults_of_status(part.status)
        elif isinstance(part, types.VectorBatch):
            yield from _faults_of_vectors(part)
        elif isinstance(part, embedding.Embeddings):
            yield from _faults_of_embeddings(part)
        elif isinstance(part, search.SearchResults):
            yield from _faults_of_results(part)


def _faults_of_vectors(batch: types.VectorBatch) -> Iterator[str]:
    rows = np.frombuffer(batch.data, "<f4")
    if len(rows) != batch.count * batch.dim:
        yield f"{len(batch.data)} bytes for {batch.count} rows of {batch.dim}"
    if not np.isfinite(rows).all():
        yield "vectors that are not finite"


def _faults_of_embeddings(found: embedding.Embeddings) -> Iterator[str]:
    if found.vectors.count != len(found.input_index):
        yield f"{found.vectors.count} rows, {len(found.input_index)} indices"
    if list(found.input_index) != sorted(found.input_index):
        yield "rows out of order"


def _faults_of_results(found: search.SearchResults) -> Iterator[str]:
    scores = np.frombuffer(found.scores, "<f4")
    if not len(scores) == len(found.ids) == sum(found.counts):
        yield f"{len(scores)} scores, {len(found.ids)} ids, counts {sum(found.counts)}"
    if np.isnan(scores).any():
        yield "scores that are no numbers"


def within(message: Message) -> Iterator[Message]:
    """A message and all inside it."""
    yield message
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else [value]:
            yield from within(one)
