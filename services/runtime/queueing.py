"""What waits in a batcher: entries, the tickets of their callers, and in which order they go."""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from services.runtime.errors import DeadlineError

T = TypeVar("T")
R = TypeVar("R")

# Of so many batches in a row one is bulk work, where some waits: it is slow then, never starved.
BULK_TURN = 4


class Priority(IntEnum):
    """Who goes first."""

    CANARY = 0  # the service asking itself: never refused, since overload is not illness
    INTERACTIVE = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caller may ask of a queue.

    Args:
        deadline: `time.monotonic()` value after which the caller does not want the results.
    """

    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None


DEFAULT_CLAIM = Claim()


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
    claim: Claim
    enqueued_ns: int


class Line(Generic[T, R]):
    """Entries in order of arrival, a queue for each priority."""

    def __init__(self) -> None:
        self._queues: dict[Priority, deque[Entry[T, R]]] = {p: deque() for p in Priority}
        self._before_bulk = 0
        self.expired = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, entries: Iterator[Entry[T, R]], priority: Priority) -> None:
        """At the end of its queue."""
        self._queues[priority].extend(entries)

    def take(self, max_items: int, max_cost: float, now: float) -> list[Entry[T, R]]:
        """The next batch: the entry whose turn it is and all of its kind that may run with it.

        Entries that nobody wants any more are dropped; a first entry over `max_cost` goes alone.

        Args:
            now: `time.monotonic()`.
        """
        turn = self._turn()
        self._before_bulk = 0 if turn is Priority.BULK else self._before_bulk + 1
        queue = self._queues[turn]
        batch: list[Entry[T, R]] = []
        passed: list[Entry[T, R]] = []
        cost = 0
        while queue and len(batch) < max_items:
            entry = queue.popleft()
            if not self._wanted(entry, now):
                continue
            if batch and entry.key != batch[0].key:
                passed.append(entry)
                continue
            if batch and cost + entry.cost > max_cost:
                passed.append(entry)
                break
            batch.append(entry)
            cost += entry.cost
        queue.extendleft(reversed(passed))
        return batch

    def _turn(self) -> Priority:
        """Whose turn it is."""
        canary, interactive, bulk = (self._queues[p] for p in Priority)
        if canary:
            return Priority.CANARY
        if not bulk or (interactive and self._before_bulk < BULK_TURN - 1):
            return Priority.INTERACTIVE
        return Priority.BULK

    def _wanted(self, entry: Entry[T, R], now: float) -> bool:
        if entry.ticket.abandoned:
            return False
        if entry.claim.deadline is not None and entry.claim.deadline < now:
            self.expired += 1
            entry.ticket.settle(entry.position, DeadlineError("the deadline passed in the queue"))
            return False
        return True
