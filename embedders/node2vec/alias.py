"""Draws from a fixed distribution in constant time (A. Walker, 1977; M. Vose, 1991)."""

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.compiled import compiled


@compiled
def fill_alias(
    weights: NDArray[np.float64],
    keep: NDArray[np.float32],
    other: NDArray[np.int32],
    small: NDArray[np.int32],
    large: NDArray[np.int32],
) -> None:
    """The table of one distribution: draw i evenly, keep it with chance keep[i], else other[i].

    Args:
        weights: (n,), positive.
        keep, other: (n,), written.
        small, large: (n,) or more, room to work in.
    """
    n = len(weights)
    mean = weights.sum() / n
    scaled = weights / mean
    smalls = larges = 0
    for i in range(n):
        keep[i], other[i] = 1.0, i
        if scaled[i] < 1.0:
            small[smalls] = i
            smalls += 1
        else:
            large[larges] = i
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        less, more = small[smalls], large[larges - 1]
        keep[less], other[less] = scaled[less], more
        scaled[more] -= 1.0 - scaled[less]
        if scaled[more] < 1.0:
            larges -= 1
            small[smalls] = more
            smalls += 1


@compiled
def fill_rows(
    indptr: NDArray[np.int64],
    weights: NDArray[np.float32],
    keep: NDArray[np.float32],
    other: NDArray[np.int32],
    largest: int,
) -> None:
    """A table for each row of a compressed matrix; `largest` is the length of the longest row."""
    small, large = np.empty(largest, np.int32), np.empty(largest, np.int32)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if stop > start:
            numbers = weights[start:stop].astype(np.float64)
            fill_alias(numbers, keep[start:stop], other[start:stop], small, large)


def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The table of one distribution, keep float32 (n,) and other int32 (n,)."""
    n = len(weights)
    keep, other = np.empty(n, np.float32), np.empty(n, np.int32)
    fill_alias(weights, keep, other, np.empty(n, np.int32), np.empty(n, np.int32))
    return keep, other
