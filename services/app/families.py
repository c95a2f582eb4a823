"""Metric families with our prefix, filled at a scrape."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from services.runtime.histogram import Histogram

PREFIX = "latentspace"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A gauge or a counter."""

    metric: GaugeMetricFamily | CounterMetricFamily

    def add(self, labels: Sequence[str], value: float) -> None:
        """One line."""
        self.metric.add_metric(labels, value)


@dataclass(frozen=True, slots=True)
class Histograms:
    """A histogram."""

    metric: HistogramMetricFamily

    def add(self, labels: Sequence[str], values: Histogram) -> None:
        """The lines of one histogram; its counts become cumulative."""
        total = values.total
        bounds = [*map(str, map(float, values.bounds)), "+Inf"]
        buckets = list(zip(bounds, accumulate(list(values.counts)), strict=True))
        self.metric.add_metric(labels, buckets, total)


def gauge(name: str, text: str, *labels: str) -> Numbers:
    """An empty gauge."""
    return Numbers(GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels))


def counter(name: str, text: str, *labels: str) -> Numbers:
    """An empty counter; its lines end in `_total`."""
    return Numbers(CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels))


def histogram(name: str, text: str, *labels: str) -> Histograms:
    """An empty histogram."""
    return Histograms(HistogramMetricFamily(f"{PREFIX}_{name}", text, labels=labels))
