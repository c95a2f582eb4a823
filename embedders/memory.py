"""Giving freed memory back to the system."""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from typing import Any

_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """All threads share one C heap from here on, where the C library is glibc.

    `malloc_trim` gives the end of the main heap back and not that of a thread's own, where after
    an index was built tens of MB would stay for good. What shares the lock is little: Python has
    an allocator of its own, and glibc a cache of small pieces for each thread. To be called before
    threads start; MALLOC_ARENA_MAX, if set, has the last word.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        _library_call("mallopt")(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Returns the free pages of the C heap, where the C library can (glibc).

    glibc keeps what was freed for later; after a model or an index of hundreds of MB that is
    memory nobody else can use. The GIL is released meanwhile.
    """
    _library_call("malloc_trim")(0)


@cache
def _library_call(name: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # not glibc; TypeError is what Windows raises
        return lambda *_: None
    return found
