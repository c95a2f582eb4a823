"""The one way from raw items to vectors: whoever wants rows of a model asks here."""

from collections.abc import Sequence

from embedders.base import DEFAULT_OPTIONS, EncodeOptions, Item
from services.runtime.cache.base import Cache
from services.runtime.cache.calls import CachedCalls
from services.runtime.cache.stats import CacheStats
from services.runtime.encoding import EmbedResult, Encoding, gather, look_up
from services.runtime.models import Model
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim, Priority

# Calls of more items are bulk work: they gain little from haste, and others would wait for them.
BULK_ITEMS = 32


class Embedder:
    """Embeds raw items with loaded models.

    Args:
        cache: of rows that were made before; None: each call makes its own.
    """

    def __init__(self, pools: Pools, cache: Cache | None = None) -> None:
        self._pools, self._cache = pools, cache
        self._cached = CachedCalls(cache, pools) if cache is not None else None

    @property
    def cache_stats(self) -> CacheStats | None:
        """What the cache did; None where there is none."""
        return None if self._cached is None else self._cached.stats

    async def start(self) -> None:
        """Looks whether the cache answers; one that does not is told, and costs nothing."""
        if self._cache is not None:
            await self._cache.start()

    async def close(self) -> None:
        """Closes the cache."""
        if self._cache is not None:
            await self._cache.close()

    async def embed(
        self,
        model: Model,
        items: Sequence[Item],
        options: EncodeOptions = DEFAULT_OPTIONS,
        deadline: float | None = None,
        priority: Priority | None = None,
    ) -> EmbedResult:
        """Rows of a batch; items that fail are in `errors`, the others have their rows.

        Args:
            deadline: `time.monotonic()` value after which the caller does not want them.
            priority: None: interactive, or bulk where the items are many.

        Raises:
            ModelNotReadyError, OptionError, OverloadedError
        """
        encoder, batcher = model.ready(), model.batcher
        if batcher is None:
            outcomes, times = await run_in(self._pools.prepare, look_up, encoder, items, options)
        else:
            if priority is None:
                priority = Priority.BULK if len(items) > BULK_ITEMS else Priority.INTERACTIVE
            encoding = Encoding(encoder, batcher, self._pools, options)
            claim = Claim(priority, deadline)
            # a canary asks whether the model works, not what it once answered
            if self._cached is None or priority is Priority.CANARY:
                outcomes, times = await encoding.run(items, claim)
            else:
                digest = model.config_digest
                outcomes, times = await self._cached.run(encoding, digest, items, claim)
        return gather(encoder, options, outcomes, times)
