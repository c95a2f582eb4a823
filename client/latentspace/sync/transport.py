"""Calls over a synchronous gRPC channel, with deadlines and retries. Safe in many threads."""

from __future__ import annotations  # grpc's classes are generic to type checkers only

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

import grpc

from latentspace.calls import Attempts, CallKind, ClientOptions
from latentspace.errors import InternalError
from latentspace.lifetime import check_process, closed_error
from latentspace.status import RpcFailure, error_from_rpc
from latentspace.sync.stubs import Stubs

Request = TypeVar("Request")
Reply = TypeVar("Reply")
Item = TypeVar("Item")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Part(Generic[Request, Reply]):
    """A part of a batch that was sent; `position` is its place among the parts."""

    position: int
    items: int
    request: Request
    attempts: Attempts
    future: grpc.Future[Reply]


class Transport:
    """A channel to one server, opened by the first call.

    A client that was opened in a process is refused in those forked from it: gRPC's threads do
    not come along, so a call there may crash or never end.

    Args:
        target: "host:port".
        options: how calls are made.
    """

    def __init__(self, target: str, options: ClientOptions) -> None:
        self.target = target
        self.options = options
        self._metadata = tuple(options.metadata)
        self._lock = threading.Lock()
        self._closed = False
        self._process = 0
        self._channel: grpc.Channel | None = None
        self._stubs: Stubs | None = None

    @property
    def stubs(self) -> Stubs:
        """The stubs of all services; the channel is opened where it is not yet.

        Raises:
            FailedPreconditionError: the client is closed, or was opened before a fork.
        """
        # before the lock, which a thread of the parent may have held when it forked
        self._process = self._process or os.getpid()
        check_process(self._process)
        with self._lock:  # stubs of a channel that is being closed end the interpreter
            if self._closed:
                raise closed_error()
            if self._stubs is None:
                self._channel = self._opened()
                self._stubs = Stubs(self._channel)
            return self._stubs

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._closed = True
        if self._process in (0, os.getpid()):  # that of another process is not ours to close
            with self._lock:
                if self._channel is not None:
                    self._channel.close()

    def in_thread(self, work: Callable[[Item], None], item: Item) -> None:
        """Runs blocking work; the asyncio client has a thread for it."""
        work(item)

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
        ends the call at once and cancels the other parts.
        """
        replies: dict[int, tuple[int, Reply]] = {}
        under_way: dict[int, _Part[Request, Reply]] = {}
        # filled by the channel's own thread as parts end, in whatever order
        ended: SimpleQueue[int] = SimpleQueue()
        try:
            for position, request in enumerate(requests):
                if len(under_way) >= self.options.chunks_in_flight:
                    self._finish(method, under_way, ended, replies)
                part = self._start(method, position, items_of(request), request, kind, timeout_s)
                under_way[position] = part
                part.future.add_done_callback(partial(_put, ended, position))
            while under_way:
                self._finish(method, under_way, ended, replies)
        finally:
            for part in under_way.values():
                part.future.cancel()
        return [replies[position] for position in sorted(replies)]

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
            call = self._begun(method, request, attempts)
            try:
                for reply in call:
                    attempts.succeeded()
                    yield reply
                    check_process(self._process)
                return
            except grpc.RpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            finally:
                call.cancel()
            time.sleep(pause_s)

    def exchange(
        self,
        method: grpc.StreamStreamMultiCallable[Request, Reply],
        requests: Iterable[Request],
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> Iterator[tuple[Request, Reply]]:
        """The replies of a stream that answers request by request, each with its request.

        A few requests are under way at once, and the next is made when a reply has been taken.
        Where the connection is lost, those that were not answered are sent again.
        """
        attempts = self._attempts(kind, timeout_s)
        source, unanswered = iter(requests), deque[Request]()
        while True:
            source, unanswered = chain(unanswered, source), deque()
            # one until the first reply: what refuses a stream does so at once, and its reason
            # would be lost among further writes
            most = 1
            # read by the channel's own thread; requests are made in the caller's
            sending: SimpleQueue[Request | None] = SimpleQueue()
            call = self._begun(method, _queued(sending), attempts)
            try:
                while _fill(source, unanswered, sending, most):
                    reply = next(call)
                    attempts.succeeded()
                    most = self.options.chunks_in_flight
                    yield unanswered.popleft(), reply
                    check_process(self._process)
                sending.put(None)
                for _ in call:
                    pass  # to the status, so that the server sees a stream that ended well
                return
            except grpc.RpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            except StopIteration:
                raise InternalError("the server ended the stream before its last reply") from None
            finally:
                sending.put(None)
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
                return self._begun(method, request, attempts)
            except grpc.RpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            time.sleep(pause_s)

    def _start(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Reply],
        position: int,
        items: int,
        request: Request,
        kind: CallKind,
        timeout_s: float | None,
    ) -> _Part[Request, Reply]:
        attempts = self._attempts(kind, timeout_s)
        future = self._begun(method.future, request, attempts)
        return _Part(position, items, request, attempts, future)

    def _finish(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Reply],
        under_way: dict[int, _Part[Request, Reply]],
        ended: SimpleQueue[int],
        replies: dict[int, tuple[int, Reply]],
    ) -> None:
        """Waits for any of the parts and keeps its reply; tries it again where that is safe."""
        part = under_way.pop(ended.get())
        try:
            reply = part.future.result()
        except grpc.RpcError as failure:
            time.sleep(self._pause_s(part.attempts, failure))
            reply = self._unary(method, part.request, part.attempts)
        replies[part.position] = (part.items, reply)

    def _opened(self) -> grpc.Channel:
        arguments = self.options.channel_options()
        if self.options.credentials is None:
            return grpc.insecure_channel(self.target, options=arguments)
        return grpc.secure_channel(self.target, self.options.credentials, options=arguments)

    def _begun(self, method: Callable[..., T], request: object, attempts: Attempts) -> T:
        """What a call gives: its reply, or where it is one of those, its future or its stream."""
        check_process(self._process)
        try:
            return method(
                request,
                timeout=attempts.remaining_s(),
                metadata=self._metadata,
                wait_for_ready=self.options.wait_for_ready,
            )
        except ValueError as error:
            if self._closed:  # since the stubs were taken, by another thread
                raise closed_error() from error
            raise

    def _attempts(self, kind: CallKind, timeout_s: float | None) -> Attempts:
        if self._closed:
            raise closed_error()
        return Attempts(self.options, kind, timeout_s)

    def _pause_s(self, attempts: Attempts, failure: grpc.RpcError) -> float:
        # every error that a channel raises is a call too, which grpc's types do not say
        error = error_from_rpc(cast(RpcFailure, failure), self.target, attempts.timeout_s)
        try:
            return attempts.pause_s(error)
        except type(error):
            raise error from failure


def _fill(
    source: Iterator[Request],
    unanswered: deque[Request],
    sending: SimpleQueue[Request | None],
    most: int,
) -> int:
    """Sends until `most` requests are under way; how many are, 0 at the end."""
    for request in islice(source, most - len(unanswered)):
        unanswered.append(request)
        sending.put(request)
    return len(unanswered)


def _queued(sending: SimpleQueue[Request | None]) -> Iterator[Request]:
    """What is put into a queue, until None."""
    while (request := sending.get()) is not None:
        yield request


def _put(ended: SimpleQueue[int], position: int, future: object) -> None:
    ended.put(position)
