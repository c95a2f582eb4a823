"""What is counted and traced of every call; a few microseconds each."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from google.protobuf.descriptor import MethodDescriptor

from services.runtime.histogram import SECONDS, Histogram
from services.runtime.tracing import Stage, collect

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class CallStats:
    """What was seen of one method."""

    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    codes: dict[str, int] = field(default_factory=dict)
    running: int = 0


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A call that has ended; times are `time.perf_counter_ns()`.

    Args:
        service: full name.
        metadata: of the request.
    """

    service: str
    method: str
    code: grpc.StatusCode
    started_ns: int
    ended_ns: int
    metadata: Iterable[tuple[str, str | bytes]]
    stages: list[Stage]


class CallTracer(Protocol):
    """Whoever wants to hear of every call."""

    def finished(self, call: FinishedCall) -> None:
        """Hears of a call, in the event loop: must not wait."""


class Observer:
    """Counts calls by method, and tells a tracer of each.

    Args:
        tracer: None: nobody listens, and nothing is collected.
    """

    def __init__(self, tracer: CallTracer | None = None) -> None:
        self._tracer = tracer
        #: by "Service/Method"
        self.methods: dict[str, CallStats] = {}

    def of(self, method: MethodDescriptor) -> "MethodObserver":
        """Who observes the calls of one method."""
        service = method.containing_service
        assert service is not None
        stats = self.methods.setdefault(f"{service.name}/{method.name}", CallStats())
        return MethodObserver(service.full_name, method.name, stats, self._tracer)


@dataclass(frozen=True, slots=True)
class MethodObserver:
    """Observes the calls of one method."""

    service: str
    method: str
    stats: CallStats
    tracer: CallTracer | None

    def begin(self, context: Context) -> "ObservedCall":
        """A call begins."""
        stages = collect() if self.tracer is not None else []
        self.stats.running += 1
        return ObservedCall(self, context, stages, time.perf_counter_ns())


@dataclass(slots=True)
class ObservedCall:
    """One running call; not frozen, which would cost a microsecond more."""

    observer: MethodObserver
    context: Context
    stages: list[Stage]
    started_ns: int

    def end(self, code: grpc.StatusCode) -> None:
        """The call has ended."""
        ended_ns, stats = time.perf_counter_ns(), self.observer.stats
        stats.running -= 1
        stats.codes[code.name] = stats.codes.get(code.name, 0) + 1
        stats.seconds.add((ended_ns - self.started_ns) / 1e9)
        if self.observer.tracer is not None:
            self.observer.tracer.finished(self._finished(code, ended_ns))

    def given_up(self) -> None:
        """The caller hung up, or its deadline passed."""
        left = self.context.time_remaining()
        late = left is not None and left <= 0
        self.end(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED)

    def _finished(self, code: grpc.StatusCode, ended_ns: int) -> FinishedCall:
        metadata = self.context.invocation_metadata() or ()
        service, method = self.observer.service, self.observer.method
        return FinishedCall(service, method, code, self.started_ns, ended_ns, metadata, self.stages)
