"""The CPU budget: how many threads encode, search and prepare, set in one place.

On a CPU several one-thread encoders beat one encoder with several threads (two of them gave
810 sentences/s where one two-thread owner gave 697), so each lane computes with one thread.
A search may use every core that no encoder uses just then.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.runtime.admission import MIN_RETRY_S, SMOOTHING
from services.runtime.errors import OverloadedError
from services.runtime.process import available_cores

P = ParamSpec("P")
R = TypeVar("R")

# Writers wait for the disk, not for a core: many may share one commit.
WRITE_THREADS = 32
LOAD_THREADS = 2
# Calls that may wait for a thread; beyond it they are refused at once.
MAX_WAITING = 512


class Pool:
    """Threads for one kind of work, and a bounded queue before them.

    Args:
        what: the work, for messages.
        max_waiting: calls that may wait; 0: any number, where the caller sees to it.
    """

    def __init__(self, what: str, threads: int, max_waiting: int = 0) -> None:
        self._what, self._threads, self._max_waiting = what, threads, max_waiting
        self._executor = ThreadPoolExecutor(threads, what)
        self._pending = 0
        self._seconds = 0.0

    @property
    def busy(self) -> int:
        """Threads at work now."""
        return min(self._pending, self._threads)

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return max(0, self._pending - self._threads)

    async def run(self, work: Callable[[], R], urgent: bool = False) -> R:
        """One thread hop.

        Args:
            urgent: let in even where too many wait.

        Raises:
            OverloadedError: too many wait; nothing was done.
        """
        if self._max_waiting and self.waiting >= self._max_waiting and not urgent:
            retry_s = max(MIN_RETRY_S, self._seconds * self.waiting / self._threads / 2)
            raise OverloadedError(f"{self.waiting} calls wait to {self._what}", retry_s)
        # counted up and down in the event loop alone
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            result, seconds = await loop.run_in_executor(self._executor, _timed, work)
        finally:
            self._pending -= 1
        self._seconds += SMOOTHING * (seconds - self._seconds)
        return result

    def close(self) -> None:
        """Waits for running work; what waits is given up."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _timed(work: Callable[[], R]) -> tuple[R, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


class Pools:
    """Thread pools of one process.

    Args:
        cores: the budget; 0 means every core this process may use.
    """

    def __init__(self, cores: int = 0) -> None:
        self.cores = cores or available_cores()
        self.encode = Pool("encode", self.cores)
        self.prepare = Pool("prepare", self.cores, MAX_WAITING)
        self.search = Pool("search", self.cores, MAX_WAITING)
        self.write = Pool("write", WRITE_THREADS, MAX_WAITING)
        # apart from the others: a model takes seconds to load, and calls must not wait for it
        self.load = Pool("load", LOAD_THREADS)

    def spare_cores(self) -> int:
        """Cores that no encoder uses now, at least one: what a search may take."""
        return max(1, self.cores - self.encode.busy)

    def close(self) -> None:
        """Waits for running work."""
        for pool in (self.encode, self.prepare, self.search, self.write, self.load):
            pool.close()


async def run_in(pool: Pool, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """One thread hop.

    Raises:
        OverloadedError: too many calls wait for the pool; nothing was done.
    """
    return await pool.run(lambda: function(*args, **kwargs))


def limit_torch_threads() -> None:
    """One thread a forward pass, for every thread that has not computed yet."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
