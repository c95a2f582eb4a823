"""An embedder that tells the trace of a call what became of its time."""

import time
from collections.abc import Mapping, Sequence

from embedders.base import DEFAULT_OPTIONS, EncodeOptions, Item
from services.runtime.cache.base import Cache
from services.runtime.cache.stats import TierStats
from services.runtime.embedder import Embedder
from services.runtime.encoding import EmbedResult, Times
from services.runtime.models import Model
from services.runtime.pools import Pools
from services.runtime.queueing import Priority
from services.runtime.tracing import StageName, record


class TracedEmbedder(Embedder):
    """See `Embedder`."""

    def __init__(self, pools: Pools, cache: Cache | None = None) -> None:
        super().__init__(pools, None if cache is None else TracedCache(cache))

    async def embed(
        self,
        model: Model,
        items: Sequence[Item],
        options: EncodeOptions = DEFAULT_OPTIONS,
        deadline: float | None = None,
        priority: Priority | None = None,
        *,
        cached: bool = True,
    ) -> EmbedResult:
        """See `Embedder.embed`."""
        result = await super().embed(model, items, options, deadline, priority, cached=cached)
        record_times(result.times, time.perf_counter_ns())
        return result


class TracedCache(Cache):
    """A cache whose lookups are stages."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @property
    def stats(self) -> tuple[TierStats, ...]:
        """See `Cache.stats`."""
        return self._cache.stats

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Cache.get`."""
        started = time.perf_counter_ns()
        found = await self._cache.get(keys)
        record(StageName.CACHE, started, time.perf_counter_ns())
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """See `Cache.put`."""
        self._cache.put(entries)

    async def start(self) -> None:
        """See `Cache.start`."""
        await self._cache.start()

    async def close(self) -> None:
        """See `Cache.close`."""
        await self._cache.close()


def record_times(times: Times, ended_ns: int) -> None:
    """Stages of an embedding that has just ended, one after the other.

    Where a large call went in blocks, each stage is as long as that of its slowest block.
    """
    encode_ns = ended_ns - times.encode_ns
    queue_ns = encode_ns - times.queue_ns
    record(StageName.PREPARE, queue_ns - times.prepare_ns, queue_ns)
    record(StageName.QUEUE, queue_ns, encode_ns)
    record(StageName.ENCODE, encode_ns, ended_ns)
