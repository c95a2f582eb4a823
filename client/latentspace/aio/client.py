"""The client."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import grpc

from latentspace.addresses import server_address
from latentspace.aio.base import AsyncCalls
from latentspace.aio.classification import AsyncClassificationCalls
from latentspace.aio.exporting import AsyncExportCalls
from latentspace.aio.health import AsyncHealthCalls
from latentspace.aio.identification import AsyncIdentificationCalls
from latentspace.aio.importing import AsyncImportCalls
from latentspace.aio.maintenance import AsyncMaintenanceCalls
from latentspace.aio.training import AsyncTrainingCalls
from latentspace.aio.transport import AsyncTransport
from latentspace.aio.words import AsyncWordCalls
from latentspace.calls import (
    MIB,
    CallKind,
    ClientOptions,
    RetryPolicy,
    merged_timeouts,
)


class AsyncClient(
    AsyncExportCalls,
    AsyncHealthCalls,
    AsyncIdentificationCalls,
    AsyncImportCalls,
    AsyncMaintenanceCalls,
    AsyncWordCalls,
    AsyncClassificationCalls,
    AsyncTrainingCalls,
):
    """A latentspace server: numpy in, numpy out.

    Large batches are sent in parts, calls have deadlines, and what is safe is tried again.
    Use it as a context manager, or `close` it.

    Args:
        target: "host:port"; a host alone means port 50051, nothing means the variable
            LATENTSPACE_SERVER, else 127.0.0.1:50051 (see `latentspace.addresses`).
        timeout_s: seconds a request may take, retries included, for calls of every kind.
        timeouts_s: the same by kind ("read", "embed", "search", "write", "create", "labels",
            "load", "watch"), over `timeout_s`; math.inf is no limit.
        retry: what is tried again, and when.
        max_message_bytes: limit of one message, both ways; the server has its own.
        wait_for_ready: wait for the server (until the deadline) instead of failing at once.
        keepalive_s: seconds between pings of a silent connection under a call.
        metadata: sent with every call, such as [("authorization", "Bearer ...")].
        credentials: TLS; None is plain text.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout_s: float | None = None,
        timeouts_s: Mapping[str, float] | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 frozen
        max_message_bytes: int = 64 * MIB,
        wait_for_ready: bool = False,
        keepalive_s: float = 60.0,
        metadata: Sequence[tuple[str, str | bytes]] = (),
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        options = ClientOptions(
            timeouts_s=merged_timeouts(timeout_s, timeouts_s),
            retry=retry,
            max_message_bytes=max_message_bytes,
            chunk_bytes=max_message_bytes // 2,
            wait_for_ready=wait_for_ready,
            keepalive_s=keepalive_s,
            metadata=metadata,
            credentials=credentials,
        )
        address = server_address(target, secure=credentials is not None)
        super().__init__(AsyncTransport(address, options))

    def with_patience(self, retry: RetryPolicy, timeouts_s: Mapping[CallKind, float]) -> Self:
        """Another client of the same server, alike but for retries and some kinds' deadlines.

        It has a connection of its own, and is to be closed.
        """
        known = self._rpc.options
        options = replace(known, retry=retry, timeouts_s={**known.timeouts_s, **timeouts_s})
        made = type(self).__new__(type(self))
        AsyncCalls.__init__(made, AsyncTransport(self.target, options))
        return made

    @property
    def target(self) -> str:
        """The server's "host:port"."""
        return self._rpc.target

    @property
    def max_message_bytes(self) -> int:
        """Limit of one message, both ways."""
        return self._rpc.options.max_message_bytes

    async def close(self) -> None:
        """Closes the connection; calls under way are cancelled."""
        await self._rpc.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.target!r})"
