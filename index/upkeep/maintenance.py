"""The background thread of a collection."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager

from embedders.memory import give_back
from index.base import ProgressCallback
from index.core import CollectionCore
from index.errors import StorageError, VectorIndexError, is_disk_fault
from index.store.operations import Housekeeping
from index.upkeep.placing import Placing
from index.upkeep.progress import Cancelled, Progress
from index.upkeep.recipe_change import RecipeChange
from index.upkeep.work import BackgroundWork

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.1


class Maintenance:
    """Seals, compacts, merges, builds and vacuums, one piece after another, when woken.

    Args:
        builds: held while an index is built, so that collections of one engine take turns.
    """

    def __init__(
        self, core: CollectionCore, builds: threading.Lock, last_search_ns: Callable[[], int]
    ) -> None:
        self._core, self._builds = core, builds
        self.progress = Progress()
        self._work = BackgroundWork(core, self.progress, last_search_ns)
        self.recipe_change = RecipeChange(core, self.progress, self._work)
        self._placing = Placing(core)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._requests: list[tuple[bool, Future[None]]] = []
        self._thread: threading.Thread | None = None
        self._closing = self._serving = self._freed = False

    def wake(self) -> None:
        """There may be work."""
        with self._lock:
            if self._closing:
                return
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"maintenance-{self._core.name}", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def optimize(self, full: bool, report: ProgressCallback | None) -> None:
        """Has everything sealed, merged, compacted and built, and waits for it."""
        future: Future[None] = Future()
        with self._lock:
            if self._closing:
                raise StorageError(f"collection {self._core.name!r} is closed")
            self._requests.append((full, future))
            # a build that the merge would throw away is not worth waiting for
            if full and not self._serving:
                self.progress.stop()
        self.wake()
        try:
            while not self._finished(future):
                if report is not None:
                    step = self.progress.step
                    report(step.stage, step.done, step.total)
        except BaseException:  # the callback's wish to cancel, whatever it raised
            if not future.cancel():
                self.progress.stop()
            raise

    def close(self) -> None:
        """Stops what runs; what is not finished is begun again when the collection is opened."""
        with self._lock:
            self._closing = True
            self.progress.stop()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        for _, future in self._requests:
            if future.set_running_or_notify_cancel():
                future.set_exception(StorageError("the collection was closed"))

    def _run(self) -> None:
        timeout: float | None = None
        while not self._closing:
            waited = not self._wake.wait(timeout)
            self._wake.clear()
            timeout = None
            try:
                if waited and self._core.writer.fault:
                    # nobody may be writing: whether it works again is tried, not waited for
                    self._core.run_in_store(Housekeeping(lambda _: None))
                self._serve()
                self._core.trouble = ""
                if self._core.writer.fault:
                    timeout = self._core.options.retry_seconds
            except Cancelled:
                self._resume()
                self._wake.set()
            except Exception as error:  # noqa: BLE001 - the thread outlives any failure
                self._note(error)
                timeout = self._core.options.retry_seconds

    def _note(self, error: Exception) -> None:
        """Keeps the reason, and tells it where it is a new one."""
        before = self._core.trouble
        self._core.trouble = f"background work failed and is tried again: {error}"
        if self._core.trouble != before:
            log.error(
                "background work failed",
                extra={"collection": self._core.name, "error": str(error)},
                exc_info=None if is_disk_fault(error) else error,
            )

    def _serve(self) -> None:
        while not self._closing and (self._serve_request() or self._piece()):
            pass
        if self._freed:
            self._freed = False
            give_back()

    def _piece(self) -> bool:
        work = self._work
        if work.fold_one() or work.save_one():
            return True
        if work.seal_one() or self._heavy_piece():
            # buffers of a sealed segment or scratch of a build: much, and not needed soon
            self._freed = True
            return True
        return False

    def _heavy_piece(self) -> bool:
        work = self._work
        with self._turn():
            return (
                self.recipe_change.step()
                or work.compact_one(self._core.options.dead_share)
                or self._settle_one()
                or work.vacuum(all_pages=False)
            )

    def _serve_request(self) -> bool:
        with self._lock:
            if not self._requests or self._closing:
                return False
            full, future = self._requests.pop(0)
            self._serving = True
            self.progress.resume()
        if not future.set_running_or_notify_cancel():
            self._serving = False
            return True
        try:
            self._optimize(full)
            self._core.trouble = ""
            # who asked may measure
            give_back()
            future.set_result(None)
        except Cancelled as error:
            future.set_exception(StorageError(f"optimising was stopped at {error}"))
            raise
        except Exception as error:  # a caller waits for it, whatever it is
            future.set_exception(_as_ours(error))
            raise
        finally:
            self._serving = False
        return True

    def _optimize(self, full: bool) -> None:
        work = self._work
        self._core.live.freeze()
        while work.seal_one():
            pass
        with self._turn():
            self.recipe_change.step()
            if full:
                work.merge_all()
            work.compact_all()
            while self._settle_one():
                pass
            work.vacuum(all_pages=True)

    def _settle_one(self) -> bool:
        work = self._work
        return (
            work.merge_one() or work.build_one() or work.measure_one() or self._placing.place_one()
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This collection's turn to build; while it waits, filled segments get their files."""
        while not self._builds.acquire(timeout=_REPORT_SECONDS):
            self.progress.check(0, 0)
            self._work.seal_one()
        try:
            yield
        finally:
            self._builds.release()

    def _resume(self) -> None:
        with self._lock:
            if not self._closing:
                self.progress.resume()

    @staticmethod
    def _finished(future: "Future[None]") -> bool:
        try:
            future.result(_REPORT_SECONDS)
        except NotYet:
            if future.done():
                raise
            return False
        return True


def _as_ours(error: Exception) -> Exception:
    if isinstance(error, VectorIndexError):
        return error
    return StorageError(f"background work failed: {error}")
