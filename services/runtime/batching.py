"""Dynamic batching: a bounded queue, few consumers, no idle waiting.

Whatever queued up while the last batch ran is the next batch. The same mechanism serves
encoders (cost: tokens or pixels) and searches (cost: queries).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.runtime.errors import DeadlineError, OverloadedError, WorkError

T = TypeVar("T")
R = TypeVar("R")

# What takes no longer may run in the event loop itself, where nobody else waits for it.
QUICK_NS = 2_000_000
# Calls that met no other before the next is taken to be alone too.
CALLS_ALONE = 4
# Weight of the newest batch in the measured rate: about the last ten batches count.
RATE_SMOOTHING = 0.2
MIN_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batcher.

    Args:
        max_items: items of one batch.
        max_cost: cost of one batch; a single dearer item still runs, alone.
        max_queue_cost: cost that may wait; beyond it calls are refused at once.
        lanes: batches that run side by side.
    """

    max_items: int = 64
    max_cost: int = 16_384
    max_queue_cost: int = 262_144
    lanes: int = 1


@dataclass(slots=True, eq=False)
class Ticket(Generic[R]):
    """One caller's wait: its results so far and the future that ends it."""

    done: asyncio.Future[None]
    results: list[R | Exception | None]
    missing: int
    queue_ns: int = 0
    work_ns: int = 0

    @property
    def abandoned(self) -> bool:
        """Whether the caller hung up."""
        return self.done.cancelled()

    def settle(self, position: int, result: R | Exception) -> None:
        """Stores one result; the last one wakes the caller."""
        self.results[position] = result
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True, eq=False)
class Entry(Generic[T, R]):
    """One queued item."""

    item: T
    key: Hashable
    cost: int
    ticket: Ticket[R]
    position: int
    deadline: float | None
    enqueued_ns: int


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[R]):
    """Results in the order of the items, each its value or its error; times of the slowest item."""

    results: list[R | Exception]
    queue_ns: int
    work_ns: int


@dataclass(slots=True)
class BatcherStats:
    """Counters since the start."""

    batches: int = 0
    items: int = 0
    refused: int = 0
    expired: int = 0
    rate: float = 0.0
    queue_cost: int = field(default=0)


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
        self._work, self._quick_work = work, quick_work
        self._last_key: Hashable = None
        self._last_ns = self._calls_alone = 0
        self._company = False
        self._queue: deque[Entry[T, R]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(
        self,
        items: Sequence[T],
        costs: Sequence[int],
        key: Hashable = None,
        deadline: float | None = None,
    ) -> BatchResult[R]:
        """Queues items and waits for all of them.

        Args:
            deadline: `time.monotonic()` value after which the caller does not want them.

        Raises:
            OverloadedError: the queue is full; nothing was queued.
        """
        if not items:
            return BatchResult([], 0, 0)
        if self._quick_work is not None and self._is_alone() and self._is_quick(items, key):
            return self._run_quick(self._quick_work, items[0], costs[0], key)
        self._admit(sum(costs))
        ticket = self._enqueue(items, costs, key, deadline)
        self._start_lanes()
        await ticket.done
        results = [
            WorkError("no result") if result is None else result for result in ticket.results
        ]
        return BatchResult(results, ticket.queue_ns, ticket.work_ns)

    def _is_alone(self) -> bool:
        if self._queue or self._running or self._company:
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
        return BatchResult([result], 0, elapsed)

    def _end_company(self) -> None:
        self._company = False

    async def close(self) -> None:
        """Waits for the running batches; whatever is queued runs first."""
        while self._running:
            await asyncio.wait(set(self._running))

    @property
    def retry_after_s(self) -> float:
        """When the queue should have run down, from the measured rate."""
        rate = self.stats.rate
        return max(MIN_RETRY_S, self.stats.queue_cost / rate) if rate else 1.0

    def _admit(self, cost: int) -> None:
        # An empty queue takes anything: a single large call must not starve for ever.
        if self.stats.queue_cost and self.stats.queue_cost + cost > self.limits.max_queue_cost:
            self.stats.refused += 1
            raise OverloadedError(self.name, self.retry_after_s)

    def _enqueue(
        self, items: Sequence[T], costs: Sequence[int], key: Hashable, deadline: float | None
    ) -> Ticket[R]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket: Ticket[R] = Ticket(future, [None] * len(items), len(items))
        now = time.perf_counter_ns()
        self._queue.extend(
            Entry(item, key, cost, ticket, position, deadline, now)
            for position, (item, cost) in enumerate(zip(items, costs, strict=True))
        )
        self.stats.queue_cost += sum(costs)
        return ticket

    def _start_lanes(self) -> None:
        while self._queue and len(self._running) < self.limits.lanes:
            batch = self._take()
            if not batch:
                continue
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._lane_ended)

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start_lanes()

    def _take(self) -> list[Entry[T, R]]:
        """The longest waiting item and all that may run with it, in order of arrival."""
        batch: list[Entry[T, R]] = []
        passed: list[Entry[T, R]] = []
        cost, now = 0, time.monotonic()
        while self._queue and len(batch) < self.limits.max_items:
            entry = self._queue.popleft()
            if not self._wanted(entry, now):
                continue
            if batch and entry.key != batch[0].key:
                passed.append(entry)
                continue
            if batch and cost + entry.cost > self.limits.max_cost:
                passed.append(entry)
                break
            batch.append(entry)
            cost += entry.cost
        self._queue.extendleft(reversed(passed))
        self.stats.queue_cost -= cost
        return batch

    def _wanted(self, entry: Entry[T, R], now: float) -> bool:
        if entry.ticket.abandoned:
            self.stats.queue_cost -= entry.cost
            return False
        if entry.deadline is not None and entry.deadline < now:
            self.stats.queue_cost -= entry.cost
            self.stats.expired += 1
            entry.ticket.settle(entry.position, DeadlineError("the deadline passed in the queue"))
            return False
        return True

    async def _run(self, batch: list[Entry[T, R]]) -> None:
        started = time.perf_counter_ns()
        for entry in batch:
            entry.ticket.queue_ns = max(entry.ticket.queue_ns, started - entry.enqueued_ns)
        try:
            results = await self._halving(batch)
        except BaseException as error:  # also cancellation: nobody may be left waiting
            self._settle(batch, [WorkError(f"{self.name} stopped: {error!r}")] * len(batch))
            raise
        elapsed = time.perf_counter_ns() - started
        for ticket in {id(entry.ticket): entry.ticket for entry in batch}.values():
            ticket.work_ns += elapsed
        self._measure(len(batch), sum(entry.cost for entry in batch), elapsed, batch[0].key)
        self._settle(batch, results)

    async def _halving(self, batch: list[Entry[T, R]]) -> list[R | Exception]:
        """Runs a batch; one that fails is run in halves, so that a poisonous item fails alone."""
        try:
            results = list(await self._work(batch[0].key, [entry.item for entry in batch]))
        except Exception as error:  # noqa: BLE001 - a failure of foreign code ends at its items
            if len(batch) == 1:
                return [error]
            middle = len(batch) // 2
            return await self._halving(batch[:middle]) + await self._halving(batch[middle:])
        if len(results) != len(batch):
            broken = WorkError(f"{self.name} gave {len(results)} results for {len(batch)} items")
            return [broken] * len(batch)
        return results

    def _settle(self, batch: list[Entry[T, R]], results: Sequence[R | Exception]) -> None:
        for entry, result in zip(batch, results, strict=True):
            entry.ticket.settle(entry.position, result)

    def _measure(self, items: int, cost: int, elapsed_ns: int, key: Hashable) -> None:
        self._last_key, self._last_ns = key, elapsed_ns
        rate = cost / max(elapsed_ns, 1) * 1e9 * self.limits.lanes
        old = self.stats.rate or rate
        self.stats.rate = old + RATE_SMOOTHING * (rate - old)
        self.stats.batches += 1
        self.stats.items += items
