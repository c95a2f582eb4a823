"""Metrics of the cache; `tier` is memory, redis or searches."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from services.app.families import counter, gauge
from services.runtime.cache.stats import CacheStats, TierStats
from services.runtime.search_results import SearchResults


def cache_metrics(stats: CacheStats | None, results: SearchResults | None) -> Iterator[Metric]:
    """What the cache of rows was asked as a whole, and what each store did; none, nothing."""
    tiers = [] if stats is None else list(stats.tiers)
    if results is not None:
        tiers.append(results.stats)
    if stats is not None:
        yield from input_metrics(stats)
    if tiers:
        yield from tier_metrics(tiers)


def input_metrics(stats: CacheStats) -> Iterator[Metric]:
    """Inputs by what became of them: the hit ratio is that of `hit` to all."""
    inputs = counter("cache_inputs", "Inputs by what became of them.", "result")
    inputs.add(["hit"], stats.hits)
    inputs.add(["miss"], stats.misses)
    inputs.add(["shared"], stats.shared)
    damaged = counter("cache_damaged", "Values that could not be read.")
    damaged.add([], stats.damaged)
    yield from (inputs.metric, damaged.metric)


def tier_metrics(tiers: Sequence[TierStats]) -> Iterator[Metric]:
    """Counters and sizes of each store."""
    events = counter("cache_operations", "Entries by what a store did with them.", "tier", "result")
    errors = counter("cache_errors", "Operations that failed or took too long.", "tier")
    evictions = counter("cache_evictions", "Entries taken out to make room.", "tier")
    size = gauge("cache_bytes", "Bytes held; 0 for a store that counts its own.", "tier")
    entries = gauge("cache_entries", "Entries held; 0 for a store that counts its own.", "tier")
    is_open = gauge("cache_circuit_open", "1 while the store is left alone.", "tier")
    for tier in tiers:
        for result in ("hits", "misses", "stored", "bypassed", "dropped"):
            events.add([tier.name, result], getattr(tier, result))
        errors.add([tier.name], tier.errors)
        evictions.add([tier.name], tier.evictions)
        size.add([tier.name], tier.bytes)
        entries.add([tier.name], tier.entries)
        is_open.add([tier.name], tier.is_open)
    yield from (events.metric, errors.metric, evictions.metric)
    yield from (size.metric, entries.metric, is_open.metric)
