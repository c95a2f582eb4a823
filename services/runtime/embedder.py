"""The one way from raw items to vectors: whoever wants rows of a model asks here."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from embedders.base import DEFAULT_OPTIONS, EncodeOptions, Item
from embedders.vectors import FloatRows
from services.runtime.cache.base import Cache
from services.runtime.cache.calls import CachedCalls
from services.runtime.cache.keys import before_content, content, keys_of
from services.runtime.cache.stats import CacheStats
from services.runtime.encoding import (
    Embedded,
    EmbedResult,
    Encoding,
    Outcome,
    Times,
    gather,
    look_up,
)
from services.runtime.errors import OverloadedError
from services.runtime.models import Model
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim, Priority

# Calls of more items are bulk work: they gain little from haste, and others would wait for them.
BULK_ITEMS = 32
# Up to here keys take less than a millisecond, and a thread hop is not worth its while.
INLINE_ITEMS = 256
INLINE_BYTES = 1 << 18


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
        *,
        cached: bool = True,
    ) -> EmbedResult:
        """Rows of a batch; items that fail are in `errors`, the others have their rows.

        Args:
            deadline: `time.monotonic()` value after which the caller does not want them.
            priority: None: interactive, or bulk where the items are many.
            cached: False: for rows that nobody will ask for again.

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
            if self._cached is None or not cached or priority is Priority.CANARY:
                outcomes, times = await encoding.run(items, claim)
            else:
                keys = await self._keys(model, items, options)
                dim = options.dimensions or encoder.info.dim
                outcomes, times = await self._cached.run(encoding.run, dim, keys, items, claim)
        return gather(encoder, options, outcomes, times)

    async def embed_patiently(
        self,
        model: Model,
        items: Sequence[Item],
        options: EncodeOptions = DEFAULT_OPTIONS,
        deadline: float | None = None,
        *,
        cached: bool = True,
    ) -> EmbedResult:
        """As `embed`, for bulk work in parts: where the model is overloaded, this waits.

        Raises:
            ModelNotReadyError, OptionError
            OverloadedError: it would take longer than the caller waits.
        """
        while True:
            try:
                return await self.embed(
                    model, items, options, deadline, Priority.BULK, cached=cached
                )
            except OverloadedError as error:
                again = time.monotonic() + error.retry_after_s
                if deadline is not None and again >= deadline:
                    raise
                await asyncio.sleep(error.retry_after_s)

    async def derived(
        self,
        model: Model,
        kind: str,
        source: str,
        options: EncodeOptions,
        make: Callable[[], Awaitable[FloatRows]],
        deadline: float | None = None,
    ) -> FloatRows:
        """Rows float32 (n, dim) that are made of several inputs, cached as one value.

        Args:
            kind: part of the key, as a modality is.
            source: all that the rows depend on beside the model and the options.
        """
        info = model.ready().info
        if self._cached is None or model.batcher is None:
            return await make()

        async def made(_: Sequence[str], __: Claim) -> tuple[list[Outcome], Times]:
            return [Embedded(await make())], Times()

        key = before_content(info, model.config_digest, options, kind) + content(source)
        claim, dim = Claim(Priority.BULK, deadline), options.dimensions or info.dim
        [found], _ = await self._cached.run(made, dim, [key], [source], claim)
        if isinstance(found, Exception):
            raise found
        return found.rows

    async def _keys(self, model: Model, items: Sequence[Item], options: EncodeOptions) -> list[str]:
        info, digest = model.ready().info, model.config_digest
        small = len(items) <= INLINE_ITEMS
        if small and sum(len(item.value) for item in items) <= INLINE_BYTES:
            return keys_of(info, digest, options, items)
        return await run_in(self._pools.prepare, keys_of, info, digest, options, items)
