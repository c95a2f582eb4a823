"""Lookups that wait together go together: one MGET for all of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

# Keys of one MGET: a reply of long rows then still takes only a few milliseconds.
MAX_KEYS = 256

Values = list[bytes | None]


@dataclass(slots=True, eq=False)
class Asked:
    """Keys of one call and its wait."""

    keys: Sequence[str]
    values: asyncio.Future[Values]


class Lookups:
    """Runs lookups in a few lanes; whatever came while all were busy is the next lookup.

    Args:
        fetch: the value of each key; does not raise.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Values]], lanes: int) -> None:
        self._fetch, self._free_lanes = fetch, lanes
        self._waiting: deque[Asked] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def get(self, keys: Sequence[str]) -> Values:
        """The value of each key, in order."""
        loop = asyncio.get_running_loop()
        parts = [
            Asked(keys[start : start + MAX_KEYS], loop.create_future())
            for start in range(0, len(keys), MAX_KEYS)
        ]
        self._waiting.extend(parts)
        for _ in range(min(len(parts), self._free_lanes)):
            self._free_lanes -= 1
            lane = loop.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return [value for part in parts for value in await part.values]

    async def close(self) -> None:
        """Ends all lanes; who still waits gets nothing."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        left, self._waiting = self._waiting, deque()
        _answer(left, [None] * sum(len(asked.keys) for asked in left))

    async def _lane(self) -> None:
        while self._waiting:
            await self._run(self._take())
        # here and not when the task is seen to have ended: a call may come in between
        self._free_lanes += 1

    async def _run(self, batch: Sequence[Asked]) -> None:
        keys = [key for asked in batch for key in asked.keys]
        values: Values = [None] * len(keys)
        try:
            values = await self._fetch(keys)
        finally:
            # also where the lane is cancelled: nobody may wait for ever
            _answer(batch, values)

    def _take(self) -> list[Asked]:
        batch = [self._waiting.popleft()]
        count = len(batch[0].keys)
        while self._waiting and count + len(self._waiting[0].keys) <= MAX_KEYS:
            batch.append(self._waiting.popleft())
            count += len(batch[-1].keys)
        return batch


def _answer(batch: Iterable[Asked], values: Values) -> None:
    start = 0
    for asked in batch:
        if not asked.values.done():
            asked.values.set_result(values[start : start + len(asked.keys)])
        start += len(asked.keys)
