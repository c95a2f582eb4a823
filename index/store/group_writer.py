"""Group commit: one thread, one transaction, one fsync for all writes that wait."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from index.errors import StorageError, VectorIndexError, is_disk_fault
from index.store.change import Change
from index.store.operations import Housekeeping, WriteOperation
from index.store.writer import StoreWriter
from index.types import WriteResult

log = logging.getLogger(__name__)

_GROUP_ROWS = 8192
_Waiting = tuple[WriteOperation, "Future[WriteResult]"]


class GroupWriter:
    """Takes writes from many threads. A write is answered when it is on disk and in the view.

    A group that fails is tried again one write at a time, so that every caller gets its own
    answer.

    Args:
        publish: shows committed changes to searches; called before callers are answered.
        failed: called when writes begin to fail for want of room, or for another fault of the disk.

    Attributes:
        fault: why the last write failed, "" if it did not or was at fault itself.
        failed_writes: writes of users that the disk refused so far.
    """

    def __init__(
        self,
        store: StoreWriter,
        publish: Callable[[Sequence[Change], int], None],
        name: str,
        failed: Callable[[], None],
    ) -> None:
        self._store, self._publish, self._name = store, publish, name
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._broken = self.fault = ""
        self._failed, self.failed_writes = failed, 0

    @property
    def version(self) -> int:
        """Version of the last committed write."""
        return self._store.version

    def write(self, operation: WriteOperation) -> WriteResult:
        """Blocks until the write is durable.

        Raises:
            StorageError: it is not, and nothing of it was kept.
        """
        future: Future[WriteResult] = Future()
        with self._wake:
            if self._closed:
                raise StorageError(f"collection {self._name!r} is closed")
            self._queue.append((operation, future))
            self._start()
            self._wake.notify()
        return future.result()

    def close(self) -> None:
        """Answers what waits, then closes the store."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._store.close()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"writer-{self._name}", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while group := self._take():
            self._serve(group)

    def _take(self) -> list[_Waiting]:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closed)
            group: list[_Waiting] = []
            rows = 0
            while self._queue and rows < _GROUP_ROWS:
                # it looks at the view, which shows writes only when their group is committed
                if group and self._queue[0][0].alone:
                    break
                group.append(self._queue.popleft())
                rows += group[-1][0].rows
            return group

    def _serve(self, group: list[_Waiting]) -> None:
        try:
            results = self._commit([operation for operation, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever failed, every caller is answered
            if len(group) > 1 and not self._broken:
                for waiting in group:
                    self._serve([waiting])
                return
            writes = sum(not isinstance(operation, Housekeeping) for operation, _ in group)
            self._note(error, writes)
            for _, future in group:
                future.set_exception(_as_ours(error))
            return
        self._note(None, 0)
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)

    def _note(self, error: Exception | None, writes: int) -> None:
        """Tells once when writes begin to fail for the disk, and once when they work again."""
        if error is not None and not self._broken and not is_disk_fault(error):
            return
        before, self.fault = self.fault, "" if error is None else str(error)
        self.failed_writes += writes
        fields = {"collection": self._name, "error": self.fault or before}
        if self.fault and not before:
            log.error("writes fail", extra=fields)
            self._failed()
        elif before and not self.fault:
            log.warning("writes work again", extra=fields)

    def _commit(self, operations: Sequence[WriteOperation]) -> list[WriteResult]:
        if self._broken:
            raise StorageError(self._broken)
        changes, results = [], []
        with self._store.transaction():
            for operation in operations:
                self._store.version += not isinstance(operation, Housekeeping)
                changes.append(operation.apply(self._store))
                results.append(operation.result(self._store.version))
        try:
            self._publish(changes, self._store.version)
        except BaseException as error:
            # on disk but not in memory: only opening the collection again mends that
            self._broken = f"collection {self._name!r} must be opened again: {error!r}"
            raise
        return results


def _as_ours(error: Exception) -> Exception:
    if isinstance(error, VectorIndexError):
        return error
    return StorageError(f"writing failed: {error!r}")
