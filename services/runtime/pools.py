"""The CPU budget: how many threads encode, search and prepare, set in one place.

On a CPU several one-thread encoders beat one encoder with several threads (two of them gave
810 sentences/s where one two-thread owner gave 697), so each lane computes with one thread.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Writers wait for the disk, not for a core: many may share one commit.
WRITE_THREADS = 32
LOAD_THREADS = 2


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pools:
    """Thread pools of one process.

    Args:
        cores: the budget; 0 means every core this process may use.
    """

    def __init__(self, cores: int = 0) -> None:
        self.cores = cores or available_cores()
        self.encode = ThreadPoolExecutor(self.cores, "encode")
        self.prepare = ThreadPoolExecutor(self.cores, "prepare")
        self.search = ThreadPoolExecutor(self.cores, "search")
        self.write = ThreadPoolExecutor(WRITE_THREADS, "write")
        # apart from the others: a model takes seconds to load, and calls must not wait for it
        self.load = ThreadPoolExecutor(LOAD_THREADS, "load")

    def close(self) -> None:
        """Waits for running work."""
        for pool in (self.encode, self.prepare, self.search, self.write, self.load):
            pool.shutdown(wait=True, cancel_futures=True)


async def run_in(
    pool: ThreadPoolExecutor, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """One thread hop."""
    loop = asyncio.get_running_loop()
    if kwargs:
        return await loop.run_in_executor(pool, lambda: function(*args, **kwargs))
    return await loop.run_in_executor(pool, function, *args)


def limit_torch_threads() -> None:
    """One thread a forward pass, for every thread that has not computed yet."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
