"""Metrics of the queues: `stage` is encode or search, `name` the model or the collection."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric

from services.app.families import counter, gauge, histogram
from services.runtime.batching import Batcher
from services.runtime.models import ModelRegistry
from services.runtime.searching import SearchLanes

LABELS = ("stage", "name")


class QueueMetrics:
    """Families of all queues."""

    def __init__(self) -> None:
        self._depth = gauge("queue_cost", "Cost that waits or runs.", *LABELS)
        self._longest = gauge(
            "queue_longest_running_seconds", "For how long the oldest batch has run.", *LABELS
        )
        self._batches = counter("queue_batches", "Batches run.", *LABELS)
        self._items = counter("queue_items", "Items run.", *LABELS)
        self._refused = counter("queue_refused", "Calls refused for load.", *LABELS)
        self._expired = counter(
            "queue_expired", "Items whose deadline passed in the queue.", *LABELS
        )
        self._no_memory = counter(
            "queue_out_of_memory", "Batches that a device had no room for.", *LABELS
        )
        self._sizes = histogram("batch_items", "Items of a batch.", *LABELS)
        self._waits = histogram("queue_seconds", "A call's wait for its batch.", *LABELS)
        self._works = histogram("batch_seconds", "A batch's time.", *LABELS)

    def add(self, stage: str, name: str, batcher: Batcher[Any, Any]) -> None:
        """The lines of one queue."""
        stats, load = batcher.stats, batcher.load
        labels = [stage, name]
        self._depth.add(labels, load.pending)
        self._longest.add(labels, batcher.longest_running_s())
        self._batches.add(labels, stats.batches)
        self._items.add(labels, stats.items)
        self._refused.add(labels, load.refused)
        self._expired.add(labels, batcher.expired)
        self._no_memory.add(labels, stats.out_of_memory)
        self._sizes.add(labels, stats.batch_items)
        self._waits.add(labels, stats.queue_s)
        self._works.add(labels, stats.work_s)

    def all(self) -> Iterator[Metric]:
        """All families."""
        numbers = (
            self._depth,
            self._longest,
            self._batches,
            self._items,
            self._refused,
            self._expired,
            self._no_memory,
        )
        yield from (family.metric for family in numbers)
        yield from (family.metric for family in (self._sizes, self._waits, self._works))


def queue_metrics(models: ModelRegistry, lanes: SearchLanes) -> Iterator[Metric]:
    """What the queues of models and of collections have done."""
    found = QueueMetrics()
    for model in models.all():
        if (batcher := model.batcher) is not None:
            found.add("encode", model.config.id, batcher)
    for name, searches in sorted(lanes.batchers().items()):
        found.add("search", name, searches)
    yield from found.all()
