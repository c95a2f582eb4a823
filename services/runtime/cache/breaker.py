"""A circuit breaker: what does not answer is left alone until a probe shows that it does again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from services.runtime.cache.stats import TierStats

logger = logging.getLogger(__name__)

# One that fails again within this time of its return is left alone longer each time.
CALM_S = 5.0
MAX_WAIT_S = 10.0


class Breaker:
    """Whether a store is asked. Probes run beside the calls, so that no call pays for them.

    Args:
        name: the store, for messages.
        probe: raises where the store does not answer.
        retry_s: from one probe to the next; the first comes at once.
        stats: `is_open` is kept here.
    """

    def __init__(
        self, name: str, probe: Callable[[], Awaitable[None]], retry_s: float, stats: TierStats
    ) -> None:
        self._name, self._probe, self._retry_s, self._stats = name, probe, retry_s, stats
        self._wait_s = 0.0
        self._closed_at = -CALM_S
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is left alone."""
        return self._stats.is_open

    def trip(self, error: BaseException) -> None:
        """Leaves the store alone from now on."""
        if self.is_open:
            return
        self._stats.is_open = True
        calm = time.monotonic() - self._closed_at >= CALM_S
        self._wait_s = 0.0 if calm else min(MAX_WAIT_S, max(self._retry_s, 2 * self._wait_s))
        logger.warning("cache does not answer", extra={"cache": self._name, "error": repr(error)})
        self._probing = asyncio.get_running_loop().create_task(self._probe_until_it_answers())

    async def close(self) -> None:
        """Ends probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    async def _probe_until_it_answers(self) -> None:
        await asyncio.sleep(self._wait_s)
        while not await self._answers():
            await asyncio.sleep(self._retry_s)
        self._closed_at = time.monotonic()
        self._stats.is_open = False
        logger.info("cache answers again", extra={"cache": self._name})

    async def _answers(self) -> bool:
        try:
            await self._probe()
        except Exception:  # noqa: BLE001 - whatever is wrong, it does not answer
            return False
        return True
