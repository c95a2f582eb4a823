"""A collector of OpenTelemetry spans: the OTLP TraceService over gRPC, in this process."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

PATIENCE_S = 30.0


class TraceCollector(TraceServiceServicer):
    """Keeps every span that is sent to it."""

    def __init__(self) -> None:
        self.received: list[ResourceSpans] = []
        self._arrived = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(  # noqa: N802
        self, request: messages.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> messages.ExportTraceServiceResponse:
        with self._arrived:
            self.received.extend(request.resource_spans)
            self._arrived.notify_all()
        return messages.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        return [
            span
            for resource in self.received
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def calls(self, name: str, count: int = 1) -> list[Span]:
        """Waits for so many spans of calls whose name ends so, oldest first."""
        end = time.monotonic() + PATIENCE_S
        with self._arrived:
            while len(found := [s for s in self.spans if s.name.endswith(name)]) < count:
                left = end - time.monotonic()
                assert left > 0, f"{[span.name for span in self.spans]}"
                self._arrived.wait(left)
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def parts(self, call: Span) -> list[Span]:
        """The children of a span, by their start."""
        found = [span for span in self.spans if span.parent_span_id == call.span_id]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(None).wait()
