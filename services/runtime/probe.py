"""One canary again and again, and what it shows."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

SLICE_S = 1.0


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How often and how patiently canaries are asked.

    Args:
        interval_s: from an answer to the next question.
        timeout_s: no answer in so long is illness.
    """

    interval_s: float = 5.0
    timeout_s: float = 10.0


class Probe:
    """Asks a canary at intervals, never two at once.

    A canary that is late is waited for: what holds it is still held, and another one would only
    be held too.

    Args:
        name: for the log.
        ask: returns, or raises what is wrong.
        hear: told when the verdict changes, and of the first one.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[None]],
        options: WatchOptions,
        hear: Callable[[], Awaitable[None]],
    ) -> None:
        self._name, self._ask, self._options, self._hear = name, ask, options, hear
        #: set with the first verdict
        self.known = asyncio.Event()
        #: what is wrong; "" where nothing is
        self.fault = ""

    @property
    def well(self) -> bool:
        """Whether the last canary came back in time, and right."""
        return self.known.is_set() and not self.fault

    async def run(self) -> None:
        """Asks for ever."""
        while True:
            await self._look()
            await asyncio.sleep(self._options.interval_s)

    async def _look(self) -> None:
        canary = asyncio.ensure_future(self._ask())
        try:
            if not await done_within(canary, self._options.timeout_s):
                await self._judge(f"no answer in {self._options.timeout_s:g} s")
            await canary
        except Exception as error:  # noqa: BLE001 - whatever is wrong, it is illness
            await self._judge(repr(error))
        else:
            await self._judge("")
        finally:
            canary.cancel()

    async def _judge(self, fault: str) -> None:
        before, first = self.fault, not self.known.is_set()
        self.fault = fault
        self.known.set()
        if bool(fault) == bool(before) and not first:
            return
        if fault:
            logger.warning("canary failed", extra={"canary": self._name, "error": fault})
        elif not first:
            logger.warning("canary answers again", extra={"canary": self._name})
        await self._hear()


async def done_within(task: "asyncio.Future[None]", seconds: float) -> bool:
    """Waits for a task; False where it is not done by then.

    Counted in slices of a second, so that a process that was stopped for a minute and goes on
    has lost one slice, not its patience.
    """
    left = seconds
    while left > 0 and not task.done():
        await asyncio.wait({task}, timeout=min(left, SLICE_S))
        left -= SLICE_S
    return task.done()
