"""Calls over a grpc.aio channel, with deadlines and retries."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

import grpc
import grpc.aio

from latentspace.aio.stubs import Stubs
from latentspace.calls import Attempts, CallKind, ClientOptions
from latentspace.errors import (
    CallCancelledError,
    FailedPreconditionError,
    InternalError,
    UnavailableError,
)
from latentspace.lifetime import check_process, closed_error
from latentspace.status import error_from_rpc

# What grpc puts in the place of the status where a write met the end of a stream: the next try
# tells the reason.
WRITE_FAILED = "Internal error from Core"
Request = TypeVar("Request")
Reply = TypeVar("Reply")
Item = TypeVar("Item")
T = TypeVar("T")


class AsyncTransport:
    """A channel to one server, opened by the first call, in whose event loop it then lives.

    Args:
        target: "host:port".
        options: how calls are made.
    """

    def __init__(self, target: str, options: ClientOptions) -> None:
        self.target = target
        self.options = options
        self._metadata = tuple(options.metadata)
        self._closed = False
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._stubs: Stubs | None = None

    @property
    def stubs(self) -> Stubs:
        """The stubs of all services; the channel is opened where it is not yet.

        Raises:
            FailedPreconditionError: the client is closed, was opened before a fork, or lives in
                another event loop.
        """
        self._check_usable()
        if self._stubs is None:
            self._process, self._loop = os.getpid(), asyncio.get_running_loop()
            self._channel = self._opened()
            self._stubs = Stubs(self._channel)
        return self._stubs

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._closed = True
        channel, loop = self._channel, self._loop
        # what belongs to a loop that is closed, or to another process, ends with it
        if channel is None or loop is None or loop.is_closed() or self._process != os.getpid():
            return
        if loop is asyncio.get_running_loop():
            await channel.close()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(channel.close(), loop))

    async def in_thread(self, work: Callable[[Item], None], item: Item) -> None:
        """Runs blocking work, such as writing a file, beside the event loop."""
        await asyncio.to_thread(work, item)

    async def unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> Reply:
        """One call, tried again where that is safe.

        Raises:
            LatentspaceError
        """
        attempts = self._attempts(kind, timeout_s)
        while True:
            try:
                with self._closing_named():
                    return await self._begun(method, request, attempts)
            except grpc.aio.AioRpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            await asyncio.sleep(pause_s)

    async def unary_parts(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        requests: Iterable[Request],
        kind: CallKind,
        timeout_s: float | None,
        items_of: Callable[[Request], int],
    ) -> list[tuple[int, Reply]]:
        """Replies to the parts of a batch, in order, each with the items that it answers.

        A few parts are under way at once; the deadline is that of each part. The first failure
        ends the call at once and cancels the other parts.
        """
        parts: list[tuple[int, asyncio.Task[Reply]]] = []
        under_way: set[asyncio.Task[Reply]] = set()
        try:
            for request in requests:
                if len(under_way) >= self.options.chunks_in_flight:
                    under_way = await _some_done(under_way)
                task = asyncio.create_task(self.unary(method, request, kind, timeout_s))
                under_way.add(task)
                parts.append((items_of(request), task))
                await asyncio.sleep(0)  # lets it be sent before the next part is made
            while under_way:
                under_way = await _some_done(under_way)
        finally:
            await _cancelled(under_way)
        return [(items, task.result()) for items, task in parts]

    async def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Reply],
        request: Request,
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Reply]:
        """The replies of a stream, begun again where the connection is lost.

        So only for streams whose first reply is the present state.
        """
        attempts = self._attempts(kind, timeout_s)
        while True:
            call = self._begun(method, request, attempts)
            try:
                with self._closing_named():
                    async for reply in call:
                        # earlier failures do not count against later ones
                        attempts.succeeded()
                        yield reply
                return
            except grpc.aio.AioRpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            finally:
                call.cancel()
            await asyncio.sleep(pause_s)

    async def exchange(
        self,
        method: grpc.aio.StreamStreamMultiCallable[Request, Reply],
        requests: Iterable[Request],
        kind: CallKind,
        timeout_s: float | None = None,
    ) -> AsyncIterator[tuple[Request, Reply]]:
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
            sending: asyncio.Queue[Request | None] = asyncio.Queue()
            call = self._begun(method, _queued(sending), attempts)
            replies = aiter(call)
            try:
                with self._closing_named():
                    while _fill(source, unanswered, sending, most):
                        reply = await anext(replies)
                        attempts.succeeded()
                        most = self.options.chunks_in_flight
                        yield unanswered.popleft(), reply
                    sending.put_nowait(None)
                    async for _ in replies:
                        pass  # to the status, so that the server sees a stream that ended well
                return
            except grpc.aio.AioRpcError as failure:
                pause_s = self._pause_s(attempts, failure)
            except StopAsyncIteration:
                raise InternalError("the server ended the stream before its last reply") from None
            finally:
                sending.put_nowait(None)
                call.cancel()
            await asyncio.sleep(pause_s)

    def _check_usable(self) -> None:
        if self._closed:
            raise closed_error()
        if self._process:
            check_process(self._process)
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise FailedPreconditionError(
                "this client belongs to the event loop of its first call, and this is another: "
                "make a client in each loop"
            )

    def _opened(self) -> grpc.aio.Channel:
        options, credentials = self.options.channel_options(), self.options.credentials
        if credentials is None:
            return grpc.aio.insecure_channel(self.target, options=options)
        return grpc.aio.secure_channel(self.target, credentials, options=options)

    def _begun(self, method: Callable[..., T], request: object, attempts: Attempts) -> T:
        """The call that a method makes."""
        self._check_usable()
        return method(
            request,
            timeout=attempts.remaining_s(),
            metadata=self._metadata,
            wait_for_ready=self.options.wait_for_ready,
        )

    @contextmanager
    def _closing_named(self) -> Iterator[None]:
        """Calls that end because the client is closed say so.

        grpc.aio cancels them, which for the caller reads as if its own task had been cancelled.
        """
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and (task is None or not task.cancelling()):
                raise CallCancelledError("this client was closed during the call") from None
            raise

    def _attempts(self, kind: CallKind, timeout_s: float | None) -> Attempts:
        self._check_usable()
        return Attempts(self.options, kind, timeout_s)

    def _pause_s(self, attempts: Attempts, failure: grpc.aio.AioRpcError) -> float:
        error = error_from_rpc(failure, self.target, attempts.timeout_s)
        if failure.details() == WRITE_FAILED:
            error = UnavailableError("the server ended the stream")
        try:
            return attempts.pause_s(error)
        except type(error):
            raise error from failure


def _fill(
    source: Iterator[Request],
    unanswered: deque[Request],
    sending: "asyncio.Queue[Request | None]",
    most: int,
) -> int:
    """Sends until `most` requests are under way; how many are, 0 at the end."""
    for request in islice(source, most - len(unanswered)):
        unanswered.append(request)
        sending.put_nowait(request)
    return len(unanswered)


async def _queued(sending: "asyncio.Queue[Request | None]") -> AsyncIterator[Request]:
    """What is put into a queue, until None."""
    while (request := await sending.get()) is not None:
        yield request


async def _some_done(under_way: set[asyncio.Task[Reply]]) -> set[asyncio.Task[Reply]]:
    """Waits for any of the parts and raises what failed; those that are still under way."""
    done, rest = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return rest


async def _cancelled(tasks: set[asyncio.Task[Reply]]) -> None:
    """Cancels what is left of a failed batch and waits for it, so that no task outlives it."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
