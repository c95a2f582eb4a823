"""How calls are made: deadlines, retries, sizes, channel options. Knows nothing of asyncio."""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import grpc

from latentspace.errors import (
    InvalidArgumentError,
    LatentspaceError,
    OverloadedError,
    UnavailableError,
)

MIB = 1 << 20


class CallKind(StrEnum):
    """Kinds of calls, each with its own deadline."""

    READ = "read"
    EMBED = "embed"
    SEARCH = "search"
    WRITE = "write"
    CREATE = "create"
    LABELS = "labels"
    LOAD = "load"
    WATCH = "watch"


DEFAULT_TIMEOUTS_S: Mapping[CallKind, float] = {
    CallKind.READ: 30.0,
    CallKind.EMBED: 120.0,
    CallKind.SEARCH: 60.0,
    CallKind.WRITE: 120.0,
    CallKind.CREATE: 60.0,
    CallKind.LABELS: 900.0,  # 1,000 labels x 80 templates take minutes to encode
    CallKind.LOAD: 900.0,
    CallKind.WATCH: math.inf,
}

# A server may have made the thing although no reply came back: asked again it would answer
# "exists already", or start the work twice.
NOT_IDEMPOTENT = frozenset({CallKind.CREATE, CallKind.LABELS})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Tries of one call. Each pause is random between half and all of a doubling back-off."""

    max_attempts: int = 5
    first_pause_s: float = 0.1
    max_pause_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client calls its server.

    Args:
        timeouts_s: seconds a request may take, retries included, by kind; inf is no limit.
        retry: what is tried again, and when.
        max_message_bytes: limit of one message, both ways.
        chunk_bytes: large batches are sent in parts of about this size.
        chunks_in_flight: parts of one batch under way at once.
        wait_for_ready: wait for the server (until the deadline) instead of failing at once.
        keepalive_s: seconds between pings of a silent connection under a call.
        metadata: sent with every call, such as (("authorization", "Bearer ..."),).
        credentials: TLS; None is plain text.
    """

    timeouts_s: Mapping[CallKind, float] = field(default_factory=lambda: DEFAULT_TIMEOUTS_S)
    retry: RetryPolicy = RetryPolicy()
    max_message_bytes: int = 64 * MIB
    chunk_bytes: int = 32 * MIB
    chunks_in_flight: int = 4
    wait_for_ready: bool = False
    keepalive_s: float = 60.0
    metadata: Sequence[tuple[str, str | bytes]] = ()
    credentials: grpc.ChannelCredentials | None = None

    def channel_options(self) -> list[tuple[str, int | str]]:
        """Arguments of the gRPC channel."""
        return [
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", round(self.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", 20_000),
            # a server that comes back is noticed at the pace of our own retries
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ]


def merged_timeouts(
    timeout_s: float | None, timeouts_s: Mapping[str, float] | None
) -> Mapping[CallKind, float]:
    """The default deadlines, with `timeout_s` for all kinds but WATCH, and those of `timeouts_s`.

    Raises:
        InvalidArgumentError: an unknown kind, or a time that is not positive.
    """
    merged = dict(DEFAULT_TIMEOUTS_S)
    if timeout_s is not None:
        merged |= {kind: timeout_s for kind in CallKind if kind is not CallKind.WATCH}
    for name, value in (timeouts_s or {}).items():
        if name not in set(CallKind):
            known = ", ".join(CallKind)
            raise InvalidArgumentError(f"timeouts_s: unknown kind {name!r}; one of {known}")
        merged[CallKind(name)] = value
    for kind, value in merged.items():
        _check_timeout(value, f"timeouts_s[{kind}]")
    return merged


class Attempts:
    """The tries of one call: what is left of its time, and when to try again.

    Args:
        options: deadlines and the retry policy.
        kind: of the call.
        timeout_s: the caller's deadline; None is the default of the kind.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        options: ClientOptions,
        kind: CallKind,
        timeout_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = options.timeouts_s[kind] if timeout_s is None else timeout_s
        _check_timeout(self.timeout_s, "timeout_s")
        self._policy = options.retry
        self._idempotent = kind not in NOT_IDEMPOTENT
        self._clock = clock
        self._deadline = clock() + self.timeout_s
        self._tried = 0

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, never below 0; None is no deadline."""
        if math.isinf(self._deadline):
            return None
        return max(0.0, self._deadline - self._clock())

    def succeeded(self) -> None:
        """Counts tries anew: a long stream may be interrupted more than once."""
        self._tried = 0

    def pause_s(self, error: LatentspaceError) -> float:
        """Seconds to wait before the next try; raises `error` where there is to be none."""
        self._tried += 1
        if self._tried >= self._policy.max_attempts or not self._may_retry(error):
            raise error
        pause = self._backoff_s()
        if error.retry_after_s is not None:
            # a little over what the server said, so that callers do not all come back at once
            pause = error.retry_after_s + 0.1 * pause
        # better the reason now than a bare "deadline exceeded" later
        if self._clock() + pause >= self._deadline:
            raise error
        return pause

    def _may_retry(self, error: LatentspaceError) -> bool:
        if isinstance(error, OverloadedError):
            return error.retry_after_s is not None  # refused before any work was done
        return isinstance(error, UnavailableError) and self._idempotent

    def _backoff_s(self) -> float:
        ceiling = self._policy.first_pause_s * 2.0 ** (self._tried - 1)
        return min(self._policy.max_pause_s, ceiling) * random.uniform(0.5, 1.0)


def _check_timeout(value: float, name: str) -> None:
    if not value > 0:
        raise InvalidArgumentError(f"{name}: expected seconds above 0, got {value!r}")
