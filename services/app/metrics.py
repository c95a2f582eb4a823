"""Prometheus metrics over HTTP: what the service is like, and has done, at each scrape."""

import shutil
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from index.types import CollectionState, SegmentState
from services.app.cache_metrics import cache_metrics
from services.app.composition import Application
from services.app.families import counter, gauge, histogram
from services.app.queue_metrics import queue_metrics
from services.rpc.listening import host_and_port, listen_error
from services.rpc.observing import CallStats
from services.runtime.collections import NamedCollection
from services.runtime.lag import LoopLag
from services.runtime.models import ModelRegistry, ModelState

CURE = "stop what listens there, or set another metrics_listen (LATENTSPACE_METRICS_LISTEN)"


class HttpServer(ThreadingMixIn, WSGIServer):
    """A thread a scrape; one that hangs does not keep the process."""

    daemon_threads = True


class HttpServer6(HttpServer):
    """The same on an IPv6 address."""

    address_family = socket.AF_INET6


class SilentHandler(WSGIRequestHandler):
    """Logs no scrapes."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class MetricsServer:
    """/metrics on HOST:PORT: the port is taken at once, scrapes wait for `start`.

    Raises:
        ListenError
    """

    def __init__(self, listen: str, application: Application) -> None:
        host, port = host_and_port(listen)
        registry = CollectorRegistry()
        registry.register(ServiceCollector(application))
        for of_process in (ProcessCollector, PlatformCollector, GCCollector):
            of_process(registry=registry)
        kind = HttpServer6 if ":" in host else HttpServer
        try:
            self._server = make_server(host, port, make_wsgi_app(registry), kind, SilentHandler)
        except OSError as error:
            raise listen_error(listen, "metrics_listen", error, CURE) from error
        self._thread: threading.Thread | None = None
        self.address = f"http://{listen.rpartition(':')[0]}:{self._server.server_port}/metrics"

    def start(self) -> None:
        """Answers, in a thread of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Closes the port."""
        if self._thread is not None:
            self._server.shutdown()
        self._server.server_close()


class ServiceCollector(Collector):
    """Reads the service when it is scraped; nothing is counted twice."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def collect(self) -> Iterable[Metric]:
        """All metrics now."""
        application = self._application
        yield from call_metrics(application.rpc.observer.methods)
        yield from health_metrics(application.rpc.health.serving, application.watcher.lag)
        yield from model_metrics(application.models)
        yield from queue_metrics(application.models, application.collections.lanes)
        yield from cache_metrics(
            application.collections.embedder.cache_stats, application.collections.lanes.results
        )
        yield from collection_metrics(application.collections.all())
        yield from disk_metrics(application.settings.data_dir)


def call_metrics(methods: Mapping[str, CallStats]) -> Iterator[Metric]:
    """Calls by method and code, how long they took, and how many run."""
    calls = counter("calls", "Calls that ended.", "method", "code")
    seconds = histogram("call_seconds", "From arrival to the last reply.", "method")
    running = gauge("calls_running", "Calls that run now, streams too.", "method")
    for method, stats in methods.items():
        codes = dict(stats.codes)
        if codes or stats.running:
            running.add([method], stats.running)
            seconds.add([method], stats.seconds)
        for code, count in codes.items():
            calls.add([method, code], count)
    yield from (calls.metric, seconds.metric, running.metric)


def health_metrics(serving: Mapping[str, bool], lag: LoopLag) -> Iterator[Metric]:
    """What health clients are told, and whether the event loop turns."""
    told = gauge("serving", "1 while health says SERVING; service is empty for all.", "service")
    # as a list: the event loop may be adding to it
    for name, well in list(serving.items()):
        told.add([name], well)
    late = gauge("event_loop_lag_seconds", "How late the event loop came to its last timer.")
    late.add([], lag.last_s)
    stalls = counter("event_loop_stalls", "Times that the event loop stood for over a second.")
    stalls.add([], lag.stalls)
    yield from (told.metric, late.metric, stalls.metric)


def model_metrics(models: ModelRegistry) -> Iterator[Metric]:
    """Where each model stands: 1 for its state, 0 for the others."""
    states = gauge("model_state", "1 for the state of the model, else 0.", "model", "state")
    for model in models.all():
        for state in ModelState:
            states.add([model.config.id, state], model.state is state)
    yield states.metric


def collection_metrics(found: list[NamedCollection]) -> Iterator[Metric]:
    """Sizes and states of collections and their segments."""
    points = gauge("collection_points", "Live points.", "collection")
    degraded = gauge(
        "collection_degraded", "1 while an index is rebuilt or writes fail, else 0.", "collection"
    )
    failing = gauge("collection_writes_fail", "1 while the disk refuses writes.", "collection")
    failed = counter("collection_failed_writes", "Writes that the disk refused.", "collection")
    disk = gauge("collection_disk_bytes", "Bytes on disk.", "collection")
    memory = gauge("collection_memory_bytes", "Bytes in memory, estimated.", "collection")
    segments = gauge("collection_segments", "Segments by state.", "collection", "state")
    for info in (named.info for named in found):
        points.add([info.name], info.points)
        degraded.add([info.name], info.state is CollectionState.DEGRADED)
        failing.add([info.name], bool(info.write_fault))
        failed.add([info.name], info.failed_writes)
        disk.add([info.name], info.disk_bytes)
        memory.add([info.name], info.memory_bytes)
        for state in SegmentState:
            count = sum(segment.state is state for segment in info.segments)
            segments.add([info.name, state], count)
    yield from (points.metric, degraded.metric, disk.metric, memory.metric, segments.metric)
    yield from (failing.metric, failed.metric)


def disk_metrics(data_dir: Path) -> Iterator[Metric]:
    """Room on the disk of the data folder."""
    usage = shutil.disk_usage(data_dir)
    free = gauge("disk_free_bytes", "Bytes left on the disk of the data folder.")
    free.add([], usage.free)
    size = gauge("disk_size_bytes", "Bytes of the disk of the data folder.")
    size.add([], usage.total)
    yield from (free.metric, size.metric)
