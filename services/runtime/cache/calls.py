"""A call through the cache: look up, encode what is missing, write back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.cache.base import Cache
from services.runtime.cache.flights import Flights, Landed
from services.runtime.cache.stats import CacheStats
from services.runtime.cache.values import pack, unpack
from services.runtime.encoding import Embedded, Outcome, Times
from services.runtime.errors import DeadlineError
from services.runtime.pools import Pools
from services.runtime.queueing import Claim

# Up to here the work takes less than a millisecond, and a thread hop is not worth its while.
INLINE_ITEMS = 256

Found = dict[str, Outcome]
# What becomes of each item, in order.
Make = Callable[[Sequence[Any], Claim], Awaitable[tuple[list[Outcome], Times]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The different items of a call by key, and how rows of `dim` numbers are made of them."""

    items: Mapping[str, Any]
    make: Make
    dim: int
    claim: Claim


class CachedCalls:
    """Calls of all models through one cache."""

    def __init__(self, cache: Cache, pools: Pools) -> None:
        self._cache, self._pools = cache, pools
        self._flights = Flights()
        self.stats = CacheStats(cache.stats)

    async def run(
        self, make: Make, dim: int, keys: Sequence[str], items: Sequence[Any], claim: Claim
    ) -> tuple[list[Outcome], Times]:
        """What became of each item, in order; items of equal keys are made once.

        Raises:
            what `make` raises, where something is missing.
        """
        wanted = Wanted(dict(zip(keys, items, strict=True)), make, dim, claim)
        found, times = await self._find(wanted)
        return [found[key] for key in keys], times

    async def _find(self, wanted: Wanted) -> tuple[Found, Times]:
        flight, others = self._flights.claim(wanted.items, wanted.claim.priority)
        try:
            mine = [key for key in wanted.items if key not in others]
            found = await self._look_up(mine, wanted.dim)
            self._flights.land(flight, found)
            made, times = await self._make([key for key in mine if key not in found], wanted)
            self._flights.land(flight, made)
        finally:
            # also where the call failed or its caller hung up: nobody may wait for ever
            self._flights.end(flight)
        found |= made
        if others:
            joined, more = await self._join(others, wanted)
            found, times = found | joined, times.or_longer(more)
        return found, times

    async def _look_up(self, keys: Sequence[str], dim: int) -> Found:
        values = await self._cache.get(keys) if keys else []
        known = {k: value for k, value in zip(keys, values, strict=True) if value is not None}
        if len(known) <= INLINE_ITEMS:
            found = unpack_all(known, dim)
        else:
            # let in for certain, as below: most of the work is done
            found = await self._pools.prepare.run(lambda: unpack_all(known, dim), urgent=True)
        self.stats.hits += len(found)
        self.stats.damaged += len(known) - len(found)
        return found

    async def _make(self, keys: Sequence[str], wanted: Wanted) -> tuple[Found, Times]:
        if not keys:
            return {}, Times()
        self.stats.misses += len(keys)
        items = [wanted.items[key] for key in keys]
        outcomes, times = await wanted.make(items, wanted.claim)
        made = dict(zip(keys, outcomes, strict=True))
        if len(made) <= INLINE_ITEMS:
            values = pack_all(made)
        else:
            values = await self._pools.prepare.run(lambda: pack_all(made), urgent=True)
        self._cache.put(values)
        return made, times

    async def _join(
        self, others: Mapping[str, asyncio.Future[Landed]], wanted: Wanted
    ) -> tuple[Found, Times]:
        """What other calls make; what they fail to make is made here."""
        started, deadline = time.perf_counter_ns(), wanted.claim.deadline
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        await asyncio.wait(others.values(), timeout=left)
        found: Found = {}
        for key, future in others.items():
            if not future.done():
                found[key] = DeadlineError("the deadline passed while another call made the rows")
            elif (landed := future.result()) is not None:
                found[key] = landed
        self.stats.shared += len(found)
        waited = Times(queue_ns=time.perf_counter_ns() - started)
        made, times = await self._make([key for key in others if key not in found], wanted)
        return found | made, times.or_longer(waited)


def unpack_all(values: Mapping[str, bytes], dim: int) -> Found:
    """Those that can be read."""
    found = {key: unpack(key, value, dim) for key, value in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def pack_all(found: Mapping[str, Outcome]) -> dict[str, bytes]:
    """Those that are no errors: these are never kept."""
    return {key: pack(key, one) for key, one in found.items() if isinstance(one, Embedded)}
