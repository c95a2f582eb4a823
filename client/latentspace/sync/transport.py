"""Calls over a synchronous gRPC channel, with deadlines and retries. Safe in many threads."""

from __future__ import annotations  # grpc's classes are generic to type checkers only

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import grpc

from latentspace.calls import Attempts, CallKind, ClientOptions
from latentspace.errors import FailedPreconditionError
from latentspace.status import RpcFailure, error_from_rpc

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class _Part(Generic[Request, Reply]):
    """A part of a batch that is under way."""

    items: int
    request: Request
    attempts: Attempts
    future: grpc.Future[Reply]


class Transport:
    """A channel to one server.

    Args:
        target: "host:port".
        options: how calls are made.
    """

    def __init__(self, target: str, options: ClientOptions) -> None:
        self.target = target
        self.options = options
        self._metadata = tuple(options.metadata)
        self._closed = False
        arguments = options.channel_options()
        self.channel = (
            grpc.insecure_channel(target, options=arguments)
            if options.credentials is None
            else grpc.secure_channel(target, options.credentials, options=arguments)
        )

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._closed = True
        self.channel.close()

    def unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> Reply:
        """One call, tried again where that is safe.

        Raises:
            LatentspaceError
        """
        return self._unary(method, request, self._attempts(kind, timeout_s))

    def unary_parts(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Reply],
        requests: Iterable[Request],
        kind: CallKind,
        timeout_s: float | None,
        items_of: Callable[[Request], int],
    ) -> list[tuple[int, Reply]]:
        """Replies to the parts of a batch, in order, each with the items that it answers.

        A few parts are under way at once; the deadline is that of each part. The first failure
        cancels the parts after it.
        """
        replies: list[tuple[int, Reply]] = []
        # futures of the channel, no threads of our own
        under_way: deque[_Part[Request, Reply]] = deque()
        try:
            for request in requests:
                if len(under_way) >= self.options.chunks_in_flight:
                    replies.append(self._finish(method, under_way.popleft()))
                attempts = self._attempts(kind, timeout_s)
                future = method.future(
                    request,
                    timeout=attempts.remaining_s(),
                    metadata=self._metadata,
                    wait_for_ready=self.options.wait_for_ready,
                )
                under_way.append(_Part(items_of(request), request, attempts, future))
            while under_way:
                replies.append(self._finish(method, under_way.popleft()))
        finally:
            for part in under_way:
                part.future.cancel()
        return replies

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Reply],
        request: Request,
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> Iterator[Reply]:
        """The replies of a stream, begun again where the connection is lost.

        So only for streams whose first reply is the present state.
        """
        attempts = self._attempts(kind, timeout_s)
        while True:
            call = method(
                request,
                timeout=attempts.remaining_s(),
                metadata=self._metadata,
                wait_for_ready=self.options.wait_for_ready,
            )
            try:
                for reply in call:
                    attempts.succeeded()
                    yield reply
                return
            except grpc.RpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            finally:
                call.cancel()
            time.sleep(pause_s)

    def _unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        attempts: Attempts,
    ) -> Reply:
        while True:
            try:
                return method(
                    request,
                    timeout=attempts.remaining_s(),
                    metadata=self._metadata,
                    wait_for_ready=self.options.wait_for_ready,
                )
            except grpc.RpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            time.sleep(pause_s)

    def _finish(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Reply], part: _Part[Request, Reply]
    ) -> tuple[int, Reply]:
        try:
            return part.items, part.future.result()
        except grpc.RpcError as failure:
            time.sleep(self._pause_s(part.attempts, failure))
        return part.items, self._unary(method, part.request, part.attempts)

    def _attempts(self, kind: CallKind, timeout_s: float | None) -> Attempts:
        if self._closed:
            raise FailedPreconditionError("this client is closed; make a new one")
        return Attempts(self.options, kind, timeout_s)

    def _pause_s(self, attempts: Attempts, failure: grpc.RpcError) -> float:
        # every error that a channel raises is a call too, which grpc's types do not say
        error = error_from_rpc(cast(RpcFailure, failure), self.target, attempts.timeout_s)
        try:
            return attempts.pause_s(error)
        except type(error):
            raise error from failure
