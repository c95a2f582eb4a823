"""Compilation of the inner loops, and the random numbers that they draw.

Random numbers are SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number
Generators", 2014): a counter and a hash of it. Every walk starts a stream of its own from a hash
of the seed and the walk's number, so that walks do not depend on who walks them, or when.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


def compiled(function: Function) -> Function:
    """The function as machine code that runs without Python's lock."""
    return _compile(function, fastmath=False)


def fast_compiled(function: Function) -> Function:
    """As `compiled`, but sums may be added up in any order, so that they use wide registers."""
    return _compile(function, fastmath=True)


def _compile(function: Function, fastmath: bool) -> Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return cast("Function", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep the machine code in, as in a read-only container
        return cast("Function", numba.njit(**options)(function))


@compiled
def mix(x: np.uint64) -> np.uint64:
    """A hash of 64 bits that is one to one."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


@compiled
def stream(seed: np.uint64, number: np.uint64) -> np.uint64:
    """The state that a stream of random numbers starts with."""
    return mix(mix(seed + GOLDEN) ^ (number * GOLDEN))


@compiled
def unit(state: np.uint64) -> float:
    """The number in [0, 1) of a state; the caller adds GOLDEN to the state for the next one."""
    return float(mix(state) >> np.uint64(11)) * TO_UNIT
