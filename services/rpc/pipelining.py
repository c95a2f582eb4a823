"""Streams that are answered in order while the next requests are already at work."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

# Of one stream: the next batches are prepared while a model works on the first.
BATCHES_AT_WORK = 3

Request = TypeVar("Request")
Reply = TypeVar("Reply")


async def pipelined(
    requests: AsyncIterator[Request], work: Callable[[Request], Awaitable[Reply]], most: int
) -> AsyncGenerator[Reply, None]:
    """Replies in the order of the requests, of which at most `most` are at work or answered.

    One more may have been read. Nothing else is read until the caller has taken a reply, so that
    flow control holds back a sender who does not read. The first failure ends all.
    """
    at_work: deque[asyncio.Future[Reply]] = deque()
    reading: asyncio.Future[Request] | None = asyncio.ensure_future(anext(requests))
    try:
        while reading is not None or at_work:
            if reading is not None and reading.done() and len(at_work) < most:
                reading = _begin(reading, requests, work, at_work)
            elif at_work and (at_work[0].done() or len(at_work) == most or reading is None):
                yield await at_work[0]
                at_work.popleft()
            else:
                await _first_of(reading, at_work[0] if at_work else None)
    finally:
        for task in at_work:
            task.cancel()
        if reading is not None:
            reading.cancel()


async def _first_of(*tasks: "asyncio.Future[Any] | None") -> None:
    given = [task for task in tasks if task is not None]
    await asyncio.wait(given, return_when=asyncio.FIRST_COMPLETED)


def _begin(
    read: asyncio.Future[Request],
    requests: AsyncIterator[Request],
    work: Callable[[Request], Awaitable[Reply]],
    at_work: "deque[asyncio.Future[Reply]]",
) -> "asyncio.Future[Request] | None":
    """Starts work on what was read, and reads on; None at the end."""
    try:
        request = read.result()
    except StopAsyncIteration:
        return None
    at_work.append(asyncio.ensure_future(work(request)))
    return asyncio.ensure_future(anext(requests))
