"""Dynamic batching: a bounded queue, few consumers, no idle waiting.

Whatever queued up while the last batch ran is the next batch. The same mechanism serves
encoders (cost: tokens or pixels) and searches (cost: queries).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.runtime.admission import Admission, Load
from services.runtime.errors import NoMemoryError, WorkError
from services.runtime.histogram import SECONDS, SIZES, Histogram
from services.runtime.queueing import DEFAULT_CLAIM, Claim, Entry, Line, Priority, Ticket

T = TypeVar("T")
R = TypeVar("R")

# What takes no longer may run in the event loop itself, where nobody else waits for it.
QUICK_NS = 2_000_000
# Calls that met no other before the next is taken to be alone too.
CALLS_ALONE = 4
# After the device was out of memory, batches grow again by so much with each that went well.
REGROWTH = 1.05


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batcher.

    Args:
        max_items: items of one batch.
        max_cost: cost of one batch; a single dearer item still runs, alone.
        max_queue_cost: cost that may wait or run, of each priority; beyond it calls are refused at
            once.
        lanes: batches that run side by side.
        max_wait_s: nor may more wait than is done in so long, as measured.
        max_batch_s: a batch is cut to what is done in so long, as measured: whoever comes while
            it runs waits for it.
    """

    max_items: int = 64
    max_cost: int = 16_384
    max_queue_cost: int = 262_144
    lanes: int = 1
    max_wait_s: float = 5.0
    max_batch_s: float = 0.5


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[R]):
    """Results in the order of the items, each its value or its error; times of the slowest item."""

    results: list[R | Exception]
    queue_ns: int
    work_ns: int


@dataclass(slots=True)
class BatcherStats:
    """What was done since the start."""

    batches: int = 0
    items: int = 0
    out_of_memory: int = 0
    batch_items: Histogram = field(default_factory=lambda: Histogram(SIZES))
    queue_s: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    work_s: Histogram = field(default_factory=lambda: Histogram(SECONDS))


class Batcher(Generic[T, R]):
    """Joins concurrent calls into batches of equal `key`.

    Args:
        name: for messages.
        work: runs one batch and gives a result or an error for each item, in order.
        limits: see BatchLimits.
        quick_work: the same without waiting, for one item. Where calls come one at a time and
            their like took under two milliseconds, it runs in the event loop: two thread hops
            would be a good part of that.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Hashable, Sequence[T]], Awaitable[Sequence[R | Exception]]],
        limits: BatchLimits,
        quick_work: Callable[[T], R] | None = None,
    ) -> None:
        self.name, self.limits, self.stats = name, limits, BatcherStats()
        self.load = Load(name, limits.max_queue_cost, limits.max_wait_s)
        self._work, self._quick_work = work, quick_work
        self._last_key: Hashable = None
        self._last_ns = self._calls_alone = 0
        self._company = False
        self._line: Line[T, R] = Line()
        self._running: dict[asyncio.Task[None], float] = {}
        self._max_cost = float(limits.max_cost)

    def admit(self, items: int, claim: Claim = DEFAULT_CLAIM) -> Admission:
        """Lets a call in by the usual cost of its items, before any work on them; for `with`.

        Raises:
            OverloadedError: the queue is full, or the deadline cannot be met.
        """
        return self.load.admit(self.load.estimate(items), claim)

    async def run(
        self,
        items: Sequence[T],
        costs: Sequence[int],
        key: Hashable = None,
        claim: Claim = DEFAULT_CLAIM,
        admitted: bool = False,
    ) -> BatchResult[R]:
        """Queues items and waits for all of them.

        Args:
            admitted: the caller holds an admission.

        Raises:
            OverloadedError: the queue is full; nothing was queued.
        """
        if not items:
            return BatchResult([], 0, 0)
        if self._quick_work is not None and self._is_alone() and self._is_quick(items, key):
            return self._run_quick(self._quick_work, items[0], costs[0], key)
        if admitted:
            return await self._queue(items, costs, key, claim)
        with self.load.admit(sum(costs), claim):
            return await self._queue(items, costs, key, claim)

    def longest_running_s(self) -> float:
        """For how long the oldest running batch has run; 0 where none runs."""
        # copied: metrics are read in another thread
        since = list(self._running.values())
        return time.monotonic() - min(since) if since else 0.0

    async def close(self) -> None:
        """Waits for the running batches; whatever is queued runs first."""
        while self._running:
            await asyncio.wait(set(self._running))

    @property
    def expired(self) -> int:
        """Items whose deadline passed in the queue."""
        return self._line.expired

    async def _queue(
        self, items: Sequence[T], costs: Sequence[int], key: Hashable, claim: Claim
    ) -> BatchResult[R]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket: Ticket[R] = Ticket(future, [None] * len(items), len(items))
        now = time.perf_counter_ns()
        entries = (
            Entry(item, key, cost, ticket, position, claim, now)
            for position, (item, cost) in enumerate(zip(items, costs, strict=True))
        )
        self._line.add(entries, claim.priority)
        self._start_lanes()
        await ticket.done
        results = [
            WorkError("no result") if result is None else result for result in ticket.results
        ]
        return BatchResult(results, ticket.queue_ns, ticket.work_ns)

    def _is_alone(self) -> bool:
        if self._line or self._running or self._company:
            self._calls_alone = 0
        else:
            self._calls_alone += 1
        return self._calls_alone > CALLS_ALONE

    def _is_quick(self, items: Sequence[T], key: Hashable) -> bool:
        return len(items) == 1 and self._last_ns < QUICK_NS and key == self._last_key

    def _run_quick(
        self, work: Callable[[T], R], item: T, cost: int, key: Hashable
    ) -> BatchResult[R]:
        # calls that arrived meanwhile come in this turn of the loop, and are company
        self._company = True
        asyncio.get_running_loop().call_soon(self._end_company)
        started = time.perf_counter_ns()
        result: R | Exception
        try:
            result = work(item)
        except Exception as error:  # noqa: BLE001 - as in a lane: the item's own failure
            result = error
        elapsed = time.perf_counter_ns() - started
        self._measure(1, cost, elapsed, key)
        self.stats.queue_s.add(0.0)
        return BatchResult([result], 0, elapsed)

    def _end_company(self) -> None:
        self._company = False

    def _start_lanes(self) -> None:
        while self._line and len(self._running) < self.limits.lanes:
            lane_rate = self.load.rate / self.limits.lanes
            most = min(self._max_cost, lane_rate * self.limits.max_batch_s or self._max_cost)
            now = time.monotonic()
            if batch := self._line.take(self.limits.max_items, most, now):
                task = asyncio.get_running_loop().create_task(self._run(batch))
                self._running[task] = now
                task.add_done_callback(self._lane_ended)

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._start_lanes()

    async def _run(self, batch: list[Entry[T, R]]) -> None:
        started = time.perf_counter_ns()
        try:
            results = await self._halving(batch)
        except BaseException as error:  # also cancellation: nobody may be left waiting
            self._settle(batch, [WorkError(f"{self.name} stopped: {error!r}")] * len(batch))
            raise
        elapsed = time.perf_counter_ns() - started
        # a canary alone says little of what full batches take
        if batch[0].claim.priority is not Priority.CANARY or not self.load.rate:
            self._measure(len(batch), sum(entry.cost for entry in batch), elapsed, batch[0].key)
        for ticket, waited in {e.ticket: started - e.enqueued_ns for e in batch}.items():
            ticket.queue_ns = max(ticket.queue_ns, waited)
            ticket.work_ns += elapsed
            self.stats.queue_s.add(waited / 1e9)
        self._settle(batch, results)

    async def _halving(self, batch: list[Entry[T, R]]) -> list[R | Exception]:
        """Runs a batch; one that fails is run in halves, so that a poisonous item fails alone."""
        try:
            results = list(await self._work(batch[0].key, [entry.item for entry in batch]))
        except Exception as error:  # noqa: BLE001 - a failure of foreign code ends at its items
            if is_out_of_memory(error):
                self._shrink(sum(entry.cost for entry in batch))
                if len(batch) == 1:
                    return [NoMemoryError(self.name)]
            elif len(batch) == 1:
                return [error]
            middle = len(batch) // 2
            return await self._halving(batch[:middle]) + await self._halving(batch[middle:])
        if len(results) != len(batch):
            broken = WorkError(f"{self.name} gave {len(results)} results for {len(batch)} items")
            return [broken] * len(batch)
        return results

    def _shrink(self, cost: int) -> None:
        """The next batches are small enough too: to fail first costs more than to be small."""
        self.stats.out_of_memory += 1
        self._max_cost = max(1.0, min(self._max_cost, cost / 2))

    def _settle(self, batch: list[Entry[T, R]], results: Sequence[R | Exception]) -> None:
        for entry, result in zip(batch, results, strict=True):
            entry.ticket.settle(entry.position, result)

    def _measure(self, items: int, cost: int, elapsed_ns: int, key: Hashable) -> None:
        self._last_key, self._last_ns = key, elapsed_ns
        self._max_cost = min(self._max_cost * REGROWTH, float(self.limits.max_cost))
        self.load.measure(items, cost, elapsed_ns / 1e9, self.limits.lanes)
        self.stats.batches += 1
        self.stats.items += items
        self.stats.batch_items.add(items)
        self.stats.work_s.add(elapsed_ns / 1e9)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a device had no room; torch is not imported to know its error."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
