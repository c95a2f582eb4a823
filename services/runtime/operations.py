"""Long work: started, watched, cancelled, and known again after a restart."""

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from index.errors import StorageError
from services.runtime.catalog import Catalog
from services.runtime.errors import OperationNotFoundError, RequestError

logger = logging.getLogger(__name__)

RUNNING_AT_ONCE = 2
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

    @property
    def eta_ms(self) -> int | None:
        """Expected time to the end of the stage, from its rate so far."""
        if self.state is not OperationState.RUNNING or not 0 < self.done <= self.total:
            return None
        spent_ms = (time.time_ns() - self.started_ns) / 1e6
        return int(spent_ms * (self.total - self.done) / self.done)


class WorkCancelledError(Exception):
    """Raised inside work that was asked to stop."""


Report = Callable[[str, int, int], None]
Work = Callable[[Report], Mapping[str, Any]]


class Operations:
    """All operations of a server. Work runs in threads of its own, two at a time."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pool = ThreadPoolExecutor(RUNNING_AT_ONCE, "operation")
        self._known: dict[str, Operation] = {}
        self._cancelled: dict[str, threading.Event] = {}
        self._changed = asyncio.Condition()
        self._recall()

    def start(self, kind: str, target: str, unit: str, work: Work) -> Operation:
        """Queues work and returns at once.

        Args:
            work: called in a thread with a reporter of (stage, done, total), which raises
                `WorkCancelledError` when the operation was cancelled; returns the result.

        Raises:
            StorageError: it cannot be recorded; nothing was started.
        """
        operation = Operation(
            f"{kind}-{uuid.uuid4().hex[:12]}", kind, target, unit, created_ns=time.time_ns()
        )
        self._save(operation)
        self._known[operation.id] = operation
        self._cancelled[operation.id] = threading.Event()
        loop = asyncio.get_running_loop()
        self._pool.submit(self._run, loop, operation.id, work)
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
        operation = self.get(operation_id)
        if event := self._cancelled.get(operation_id):
            event.set()
        return operation

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now, then at every change until it ends."""
        seen = self.get(operation_id)
        yield seen
        while not seen.state.ended:
            async with self._changed:
                await self._changed.wait_for(partial(self._differs, seen))
            seen = self.get(operation_id)
            yield seen

    def close(self) -> None:
        """Stops running work and waits for it."""
        for event in list(self._cancelled.values()):
            event.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _differs(self, seen: Operation) -> bool:
        return self._known[seen.id] != seen

    def _recall(self) -> None:
        for record in self._catalog.operations():
            fields = json.loads(record)
            operation = Operation(**{**fields, "state": OperationState(fields["state"])})
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
        stop = self._cancelled[operation_id]

        shown = 0.0

        def report(stage: str, done: int, total: int) -> None:
            nonlocal shown
            if stop.is_set():
                raise WorkCancelledError
            now = time.monotonic()
            if now - shown > REPORT_INTERVAL_S or done == total:
                shown = now
                self._change(loop, operation_id, stage=stage, done=done, total=total)

        self._change(loop, operation_id, state=OperationState.RUNNING, started_ns=time.time_ns())
        outcome: dict[str, Any]
        try:
            report("starting", 0, 0)
            outcome = {"state": OperationState.SUCCEEDED, "result": dict(work(report))}
        except WorkCancelledError:
            outcome = {"state": OperationState.CANCELLED}
        except Exception as error:  # any failure of the work is the operation's outcome
            logger.exception("operation failed", extra={"operation": operation_id})
            outcome = {"state": OperationState.FAILED, "failure": str(error)}
        del self._cancelled[operation_id]
        self._change(loop, operation_id, ended_ns=time.time_ns(), **outcome)
        self._try_to_save(self._known[operation_id])

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
