"""Long work: started, watched, cancelled, and known again after a restart."""

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from embedders.errors import EmbedderError
from index.errors import StorageError, VectorIndexError
from services.runtime.catalog import Catalog
from services.runtime.errors import OperationNotFoundError, RequestError, ServiceError
from services.runtime.records import RecordReader

logger = logging.getLogger(__name__)

RUNNING_AT_ONCE = 2
# Work in child processes may take hours; it must not keep short work waiting.
JOBS_AT_ONCE = 2
# People cannot read faster, and every report wakes all watchers.
REPORT_INTERVAL_S = 0.1
INTERRUPTED = "the server stopped while it ran; start it again"


class OperationState(StrEnum):
    """Where an operation stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it will not change again."""
        return self not in (OperationState.PENDING, OperationState.RUNNING)


@dataclass(frozen=True, slots=True)
class Operation:
    """Long work as it is now; times are Unix nanoseconds, 0 where they have not come.

    Args:
        failure: why it failed, for people.
        stage_ns: when the stage began.
    """

    id: str
    kind: str
    target: str
    unit: str
    state: OperationState = OperationState.PENDING
    stage: str = ""
    done: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    created_ns: int = 0
    started_ns: int = 0
    ended_ns: int = 0
    failure: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    stage_ns: int = 0

    @property
    def eta_ms(self) -> int | None:
        """Expected time to the end of the stage, from its rate so far."""
        if self.state is not OperationState.RUNNING or not 0 < self.done <= self.total:
            return None
        spent_ms = (time.time_ns() - (self.stage_ns or self.started_ns)) / 1e6
        if spent_ms < 0:  # the clock was set back
            return None
        return int(spent_ms * (self.total - self.done) / self.done)


class WorkCancelledError(Exception):
    """Raised inside work that was asked to stop."""


class Reporter:
    """How work tells of itself, and hears that it was cancelled.

    Args:
        change: takes the fields of the operation that have changed.
    """

    def __init__(self, stop: threading.Event, change: Callable[..., None]) -> None:
        self.metrics: dict[str, float] = {}
        #: the newest that was told, shown or not
        self.latest: dict[str, Any] = {}
        self._stop, self._change = stop, change
        self._shown, self._stage, self._stage_ns = 0.0, "", 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tells how far it is; now and then this is shown.

        Raises:
            WorkCancelledError: the operation was cancelled.
        """
        self.check()
        now, fresh = time.monotonic(), stage != self._stage
        if fresh:
            self._stage, self._stage_ns = stage, time.time_ns()
        self.latest = {
            "stage": stage,
            "stage_ns": self._stage_ns,
            "done": done,
            "total": total,
        }
        if fresh or now - self._shown > REPORT_INTERVAL_S or done == total:
            self._shown = now
            self._change(**self.latest, metrics=dict(self.metrics))

    def note(self, metrics: Mapping[str, float]) -> None:
        """Figures of the work, such as the loss; they go with the next report."""
        self.metrics |= metrics

    def check(self) -> None:
        """Does nothing.

        Raises:
            WorkCancelledError: the operation was cancelled.
        """
        if self._stop.is_set():
            raise WorkCancelledError


Report = Callable[[str, int, int], None]
Work = Callable[[Reporter], Mapping[str, Any]]


class Operations:
    """All operations of a server. Work runs in threads of its own, two at a time, jobs apart."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pool = ThreadPoolExecutor(RUNNING_AT_ONCE, "operation")
        self._jobs = ThreadPoolExecutor(JOBS_AT_ONCE, "job")
        self._closing = False
        self._futures: dict[str, Future[None]] = {}
        self._known: dict[str, Operation] = {}
        self._cancelled: dict[str, threading.Event] = {}
        self._job_ids: set[str] = set()
        self._changed = asyncio.Condition()
        self._recall()

    def start(self, kind: str, target: str, unit: str, work: Work, job: bool = False) -> Operation:
        """Queues work and returns at once.

        Args:
            work: called in a thread with a reporter of (stage, done, total), which raises
                `WorkCancelledError` when the operation was cancelled; returns the result.
            job: the thread only waits for a child process, maybe for hours.

        Raises:
            StorageError: it cannot be recorded; nothing was started.
        """
        operation = Operation(
            f"{kind}-{uuid.uuid4().hex[:12]}", kind, target, unit, created_ns=time.time_ns()
        )
        self._save(operation)
        self._known[operation.id] = operation
        self._cancelled[operation.id] = threading.Event()
        if job:
            self._job_ids.add(operation.id)
        loop = asyncio.get_running_loop()
        pool = self._jobs if job else self._pool
        self._futures[operation.id] = pool.submit(self._run, loop, operation.id, work)
        return operation

    def get(self, operation_id: str) -> Operation:
        """One operation.

        Raises:
            OperationNotFoundError
        """
        try:
            return self._known[operation_id]
        except KeyError:
            raise OperationNotFoundError(operation_id) from None

    def active(self, kind: str, target: str) -> bool:
        """Whether an operation of this kind waits or works on this target."""
        return any(
            one.kind == kind and one.target == target and not one.state.ended
            for one in list(self._known.values())
        )

    def page(
        self, kind: str, state: OperationState | None, size: int, token: str
    ) -> tuple[list[Operation], str]:
        """Operations, newest first, and the token of the next page ("" at the end).

        Raises:
            RequestError: a token that no page gave.
        """
        wanted = [
            operation
            for operation in reversed(self._known.values())
            if kind in ("", operation.kind) and state in (None, operation.state)
        ]
        start = 0
        if token:
            places = [i for i, operation in enumerate(wanted) if operation.id == token]
            if not places:
                raise RequestError("page_token", "this token is of no page; begin without one")
            start = places[0] + 1
        page = wanted[start : start + size]
        return page, page[-1].id if start + size < len(wanted) else ""

    def cancel(self, operation_id: str) -> Operation:
        """Asks an operation to stop; one that has ended stays as it is.

        Raises:
            OperationNotFoundError
        """
        self.get(operation_id)
        if event := self._cancelled.get(operation_id):
            event.set()
        future = self._futures.get(operation_id)
        if future is not None and future.cancel():
            # it waited for its turn, so nobody else will tell that it has ended
            self._end(asyncio.get_running_loop(), operation_id, state=OperationState.CANCELLED)
        return self.get(operation_id)

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now, then at every change until it ends."""
        seen = self.get(operation_id)
        yield seen
        while not seen.state.ended:
            async with self._changed:
                await self._changed.wait_for(partial(self._differs, seen))
            seen = self.get(operation_id)
            yield seen

    def end_jobs(self) -> None:
        """Asks jobs to stop, as a server does that goes down.

        They may have hours to go; and an import is a caller of the server itself, which would
        wait for it.
        """
        self._closing = True
        for operation_id in list(self._job_ids):
            if event := self._cancelled.get(operation_id):
                event.set()

    def close(self) -> None:
        """Stops running work and waits for it."""
        self._closing = True
        for event in list(self._cancelled.values()):
            event.set()
        for pool in (self._pool, self._jobs):
            pool.shutdown(wait=True, cancel_futures=True)

    def _differs(self, seen: Operation) -> bool:
        return self._known[seen.id] != seen

    def _recall(self) -> None:
        reader = RecordReader(Operation)
        for record in self._catalog.operations():
            operation = reader.read(record, "operation")
            if operation is None:
                continue
            if not operation.state.ended:
                operation = replace(
                    operation,
                    state=OperationState.FAILED,
                    failure=INTERRUPTED,
                    ended_ns=time.time_ns(),
                )
                self._try_to_save(operation)
            self._known[operation.id] = operation

    def _run(self, loop: asyncio.AbstractEventLoop, operation_id: str, work: Work) -> None:
        reporter = Reporter(
            self._cancelled[operation_id], partial(self._change, loop, operation_id)
        )
        self._change(loop, operation_id, state=OperationState.RUNNING, started_ns=time.time_ns())
        outcome: dict[str, Any]
        try:
            reporter("starting", 0, 0)
            outcome = {"state": OperationState.SUCCEEDED, "result": dict(work(reporter))}
        except WorkCancelledError:
            outcome = {"state": OperationState.CANCELLED}
            # nobody cancelled it: after the restart its reason is the same as after a crash
            if self._closing:
                outcome = {"state": OperationState.FAILED, "failure": INTERRUPTED}
        except Exception as error:  # any failure of the work is the operation's outcome
            # where it is of a kind that says what is wrong, the trace would say nothing more
            expected = isinstance(error, (ServiceError, VectorIndexError, EmbedderError))
            said = {"operation": operation_id, "error": str(error)}
            logger.error("operation failed", exc_info=None if expected else error, extra=said)
            outcome = {"state": OperationState.FAILED, "failure": str(error)}
        told = {**reporter.latest, "metrics": dict(reporter.metrics)}
        self._end(loop, operation_id, **told, **outcome)

    def _end(self, loop: asyncio.AbstractEventLoop, operation_id: str, **fields: Any) -> None:
        fields |= {"ended_ns": time.time_ns()}
        # recorded first: who sees the end may stop the server
        self._try_to_save(replace(self._known[operation_id], **fields))
        self._cancelled.pop(operation_id, None)
        self._futures.pop(operation_id, None)
        self._job_ids.discard(operation_id)
        self._change(loop, operation_id, **fields)

    def _change(self, loop: asyncio.AbstractEventLoop, operation_id: str, **fields: Any) -> None:
        self._known[operation_id] = replace(self._known[operation_id], **fields)
        if not loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._notify(), loop)

    def _save(self, operation: Operation) -> None:
        self._catalog.save_operation(operation.id, json.dumps(asdict(operation), default=str))

    def _try_to_save(self, operation: Operation) -> None:
        """Of work that has ended: without its record, only a restart forgets how."""
        try:
            self._save(operation)
        except StorageError as error:
            logger.warning(
                "operation not recorded", extra={"operation": operation.id, "error": str(error)}
            )

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
