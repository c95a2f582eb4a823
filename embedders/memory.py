"""Giving freed memory back to the system."""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Returns the free pages of the C heap, where the C library can (glibc).

    glibc keeps what was freed for later; after a model or an index of hundreds of MB that is
    memory nobody else can use. The GIL is released meanwhile.
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc; TypeError is what Windows raises
        return lambda _: None
    return found
