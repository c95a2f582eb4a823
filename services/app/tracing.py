"""OpenTelemetry: a span for each call and one for each of its stages, sent over OTLP.

Imported only where tracing is on. Spans are made when a call has ended, from the times that were
kept; a batch of them leaves in a thread of its own.
"""

import time
from importlib.metadata import version

import grpc
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.app.settings import TracingSettings
from services.rpc.observing import FinishedCall

SERVICE = "latentspace"
EXPORT_TIMEOUT_S = 5
#: what is the server's fault; other codes are the caller's business
FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTracer:
    """Sends spans to a collector; callers' traces go on (W3C `traceparent` in the metadata)."""

    def __init__(self, settings: TracingSettings) -> None:
        resource = Resource.create(
            {"service.name": SERVICE, "service.version": version("latentspace-server")}
        )
        sampler = ParentBased(TraceIdRatioBased(settings.ratio))
        secure = settings.endpoint.startswith("https://")
        exporter = OTLPSpanExporter(
            settings.endpoint, insecure=not secure, timeout=EXPORT_TIMEOUT_S
        )
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)

    def finished(self, call: FinishedCall) -> None:
        """Makes the spans of a call."""
        # spans have times of day, stages have those of a steadier clock
        shift = time.time_ns() - time.perf_counter_ns()
        span = self._tracer.start_span(
            f"{call.service}/{call.method}",
            parent_of(call),
            SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.service": call.service,
                "rpc.method": call.method,
                "rpc.grpc.status_code": call.code.value[0],
            },
            start_time=call.started_ns + shift,
        )
        if call.code in FAULTS:
            span.set_status(Status(StatusCode.ERROR, call.code.name))
        inside = set_span_in_context(span)
        for stage in call.stages:
            part = self._tracer.start_span(
                stage.name.value, inside, start_time=stage.started_ns + shift
            )
            part.end(stage.ended_ns + shift)
        span.end(call.ended_ns + shift)

    def close(self) -> None:
        """Sends what is left; waits some seconds at most."""
        self._provider.shutdown()


def parent_of(call: FinishedCall) -> Context:
    """The caller's span, where it named one."""
    carrier = {key: value for key, value in call.metadata if isinstance(value, str)}
    return _PROPAGATOR.extract(carrier, Context())
