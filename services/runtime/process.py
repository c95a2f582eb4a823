"""What a process must settle before numpy and torch are read: its cores, its heap.

All arithmetic shares one number of cores: OpenMP, BLAS and numba are told here, FAISS and the
thread pools by `services.runtime.pools`, and what runs in a child process by `jobs`.
"""

import ctypes
import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_M_ARENA_MAX = -8


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_variables(cores: int) -> dict[str, str]:
    """Variables that hold arithmetic libraries to so many threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(cores))


def settle(cores: int) -> None:
    """Sets threads and heap of this process; variables that are set have the last word.

    Args:
        cores: 0 means every core this process may use.
    """
    wanted = {
        **thread_variables(cores or available_cores()),
        # calls are tokenised side by side: threads of the tokenizers' own would fight over cores
        "TOKENIZERS_PARALLELISM": "false",
        # after each short search OpenMP's idle threads would spin for milliseconds, on cores that
        # other calls could use
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    if "MALLOC_ARENA_MAX" not in os.environ:
        _use_one_heap()


def _use_one_heap() -> None:
    """All threads share one C heap from here on, where the C library is glibc.

    `malloc_trim` gives the end of the main heap back and not that of a thread's own, where after
    an index was built tens of MB would stay for good. What shares the lock is little: Python has
    an allocator of its own, and glibc a cache of small pieces for each thread.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (AttributeError, OSError, TypeError):  # not glibc; TypeError is what Windows raises
        return
