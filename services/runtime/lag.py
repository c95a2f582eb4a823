"""Whether the event loop turns: whatever holds it up holds up every call."""

import asyncio
import logging

logger = logging.getLogger(__name__)

TICK_S = 0.5
STALL_S = 1.0


class LoopLag:
    """How late the event loop comes to its timers."""

    def __init__(self) -> None:
        #: seconds, as last seen
        self.last_s = 0.0
        #: times that it stood still for over a second
        self.stalls = 0

    async def run(self) -> None:
        """Looks for ever, and warns of each stall."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.last_s = max(0.0, loop.time() - due)
            if self.last_s > STALL_S:
                self.stalls += 1
                logger.warning("event loop stood still", extra={"seconds": round(self.last_s, 2)})
