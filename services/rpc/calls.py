"""Every call passes here: decoding, errors to status, counts, traces, log line.

Servicers are plain classes whose async methods are named as the calls; each has all of its
service's.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import RequestInfo
from google.rpc.status_pb2 import Status

from index.errors import is_disk_fault
from services.rpc.observing import Context as Context
from services.rpc.observing import MethodObserver, ObservedCall, Observer
from services.rpc.status import DETAILS_KEY, packed, status_of
from services.runtime import request_ids
from services.runtime.errors import RequestError

logger = logging.getLogger("latentspace.access")

Unary = Callable[[Any, Context], Awaitable[Message]]
Stream = Callable[[Any, Context], AsyncIterator[Message]]
M = TypeVar("M", bound=Message)


def deadline_of(context: Context) -> float | None:
    """`time.monotonic()` value at which the caller gives up; None where it waits for ever."""
    remaining = context.time_remaining()
    # Without a deadline some versions of grpcio answer a time far beyond any call.
    return time.monotonic() + remaining if remaining and remaining < 1e8 else None


def service_handler(
    service: ServiceDescriptor, servicer: object, observer: Observer
) -> grpc.GenericRpcHandler:
    """Handlers of all calls of a service."""
    handlers = {method.name: _handler(method, servicer, observer) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(
    method: MethodDescriptor, servicer: object, observer: Observer
) -> "grpc.RpcMethodHandler[Any, Any]":
    behaviour: Any = getattr(servicer, method.name)
    decode = _decoder(GetMessageClass(method.input_type))
    encode = GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        kind = (
            grpc.stream_stream_rpc_method_handler
            if method.client_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return kind(_guard_stream(method, behaviour, observer.of(method)), decode, encode)
    return grpc.unary_unary_rpc_method_handler(
        cast("Any", _guard_unary(method, behaviour, observer.of(method))), decode, encode
    )


def _decoder(message: type[M]) -> Callable[[bytes], M | DecodeError]:
    """Decodes; a message that cannot be read becomes a value, so that its caller gets a reason."""

    def decode(data: bytes) -> M | DecodeError:
        try:
            return message.FromString(data)
        except DecodeError as error:
            return error

    return decode


def decoded(request: Message | DecodeError) -> Message:
    """The message.

    Raises:
        RequestError: it could not be read.
    """
    if isinstance(request, DecodeError):
        raise RequestError("request", f"the message cannot be read: {request}")
    return request


def _guard_unary(method: MethodDescriptor, behaviour: Unary, observer: MethodObserver) -> Unary:
    async def call(request: Message | DecodeError, context: Context) -> Message:
        identify(context)
        observed = observer.begin(context)
        try:
            reply = await behaviour(decoded(request), context)
        except asyncio.CancelledError:
            observed.given_up()
            raise
        except Exception as error:  # the table maps every exception
            await _fail(method, context, error, observed)
            raise AssertionError("abort raises") from error
        _end(method, grpc.StatusCode.OK, observed)
        return reply

    return call


def _guard_stream(method: MethodDescriptor, behaviour: Stream, observer: MethodObserver) -> Stream:
    async def call(request: Any, context: Context) -> AsyncIterator[Message]:
        identify(context)
        observed = observer.begin(context)
        try:
            given = _decoded_stream(request) if method.client_streaming else decoded(request)
            async for reply in behaviour(given, context):
                yield reply
        except (asyncio.CancelledError, GeneratorExit):
            observed.given_up()
            raise
        except Exception as error:  # noqa: BLE001 - the table maps every exception
            await _fail(method, context, error, observed)
        _end(method, grpc.StatusCode.OK, observed)

    return call


def identify(context: Context) -> None:
    """Gives a call its id: log lines carry it, and failures tell it."""
    metadata = context.invocation_metadata() or ()
    name = request_ids.request_id(metadata)
    # each call is a task of its own: nothing is left of it afterwards
    request_ids.current.set(name)
    # trailers cost a call that succeeds 0.1 ms: only who sent an id gets one back
    if any(key == request_ids.KEY for key, _ in metadata):
        context.set_trailing_metadata(((request_ids.KEY, name),))


async def _decoded_stream(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        yield decoded(request)


async def _fail(
    method: MethodDescriptor, context: Context, error: Exception, observed: ObservedCall
) -> None:
    if isinstance(error, grpc.aio.AbortError):
        observed.end(grpc.StatusCode.ABORTED)
        raise error
    status = status_of(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    level = logging.ERROR if is_disk_fault(error) else logging.INFO
    _end(method, code, observed, status, level)
    name = request_ids.current.get()
    status.details.append(packed(RequestInfo(request_id=name)))
    trailers = ((request_ids.KEY, name), (DETAILS_KEY, status.SerializeToString()))
    await context.abort(code, status.message, trailers)


def _end(
    method: MethodDescriptor,
    code: grpc.StatusCode,
    observed: ObservedCall,
    status: Status | None = None,
    level: int = logging.DEBUG,
) -> None:
    observed.end(code)
    if not logger.isEnabledFor(level):
        return
    fields = {
        "call": method.full_name.removeprefix("latentspace.v1."),
        "code": code.name,
        "ms": round((time.perf_counter_ns() - observed.started_ns) / 1e6, 3),
    }
    if status is not None:
        fields["reason"] = status.message
    logger.log(level, "call", extra=fields)
