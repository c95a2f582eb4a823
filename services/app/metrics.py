"""Prometheus metrics over HTTP: what collections, models and queues are like at each scrape."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from index.types import CollectionState, SegmentState
from services.runtime.collections import Collections, NamedCollection
from services.runtime.models import ModelRegistry, ModelState


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """A running endpoint."""

    server: WSGIServer

    @property
    def port(self) -> int:
        """Its port."""
        return self.server.server_port

    def close(self) -> None:
        """Closes the port."""
        self.server.shutdown()
        self.server.server_close()


class ServiceCollector(Collector):
    """Reads the service when it is scraped; nothing is counted twice."""

    def __init__(self, models: ModelRegistry, collections: Collections) -> None:
        self._models, self._collections = models, collections

    def collect(self) -> Iterable[Metric]:
        """All metrics now."""
        yield from collection_metrics(self._collections.all())
        yield from model_metrics(self._models)


def collection_metrics(found: list[NamedCollection]) -> Iterator[Metric]:
    """Sizes and states of collections and their segments."""
    points = gauge("collection_points", "Live points.")
    degraded = gauge("collection_degraded", "1 while an index is rebuilt, else 0.")
    disk = gauge("collection_disk_bytes", "Bytes on disk.")
    memory = gauge("collection_memory_bytes", "Bytes in memory, estimated.")
    segments = gauge("collection_segments", "Segments by state.", "state")
    for info in (named.info for named in found):
        points.add_metric([info.name], info.points)
        degraded.add_metric([info.name], info.state is CollectionState.DEGRADED)
        disk.add_metric([info.name], info.disk_bytes)
        memory.add_metric([info.name], info.memory_bytes)
        for state in SegmentState:
            count = sum(segment.state is state for segment in info.segments)
            segments.add_metric([info.name, state], count)
    yield from (points, degraded, disk, memory, segments)


def model_metrics(models: ModelRegistry) -> Iterator[Metric]:
    """States of models, and what their queues have done."""
    states = GaugeMetricFamily("latentspace_model_ready", "1 while it answers.", labels=["model"])
    counters = {
        name: CounterMetricFamily(f"latentspace_queue_{name}", text, labels=["model"])
        for name, text in (
            ("batches", "Batches run."),
            ("items", "Items run."),
            ("refused", "Calls refused for load."),
            ("expired", "Items whose deadline passed in the queue."),
        )
    }
    depth = GaugeMetricFamily("latentspace_queue_cost", "Cost waiting.", labels=["model"])
    for model in models.all():
        label = [model.config.id]
        states.add_metric(label, model.state is ModelState.READY)
        if model.batcher is not None:
            batcher = model.batcher
            depth.add_metric(label, batcher.load.pending)
            counters["batches"].add_metric(label, batcher.stats.batches)
            counters["items"].add_metric(label, batcher.stats.items)
            counters["refused"].add_metric(label, batcher.load.refused)
            counters["expired"].add_metric(label, batcher.expired)
    yield from (states, depth, *counters.values())


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """A gauge of collections."""
    return GaugeMetricFamily(f"latentspace_{name}", text, labels=["collection", *labels])


def start_metrics(listen: str, models: ModelRegistry, collections: Collections) -> MetricsServer:
    """Serves /metrics on HOST:PORT, in a thread of its own.

    Raises:
        OSError: the address cannot be opened.
    """
    host, _, port = listen.rpartition(":")
    registry = CollectorRegistry()
    registry.register(ServiceCollector(models, collections))
    server, _ = start_http_server(int(port), host, registry)
    return MetricsServer(server)
