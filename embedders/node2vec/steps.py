"""The steps of second-order walks (Grover and Leskovec, "node2vec", 2016).

Having come from t to v, the next node x is drawn in proportion to a(t, x) * w(v, x),

    a = 1/p if x is t;  1 if t is linked to x;  1/q otherwise.

No table of second order is kept. A candidate x is drawn in proportion to w(v, x) and accepted
with chance a / M, M = max(1, 1/q); what 1/p has above M is a share of its own for t, so that a
small p costs no rejections (as K. Yang and others, "KnightKing", 2019, fold outliers). Rejections
leave the distribution as it is; after TRIES of them the step is drawn by adding up its row.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.compiled import GOLDEN, compiled, stream, unit

TRIES = 48


class Links(NamedTuple):
    """A graph as the walker reads it; lengths 0 where all links weigh the same.

    Args:
        indptr: int64 (n + 1,), where the rows of the nodes begin.
        indices: int32 (links,), sorted within a row.
        weights: float32 (links,) or (0,).
        keep, other: alias tables of the rows, float32 and int32, (links,) or (0,).
        strengths: float64 (n,), sums of the rows' weights.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float32]
    keep: NDArray[np.float32]
    other: NDArray[np.int32]
    strengths: NDArray[np.float64]


@compiled
def find(links: Links, row: int, node: int) -> int:
    """Position of a node among the links of another, or -1."""
    low, stop = links.indptr[row], links.indptr[row + 1]
    high = stop
    while low < high:
        middle = (low + high) >> 1
        if links.indices[middle] < node:
            low = middle + 1
        else:
            high = middle
    return int(low) if low < stop and links.indices[low] == node else -1


@compiled
def first_step(links: Links, now: int, place: float, state: np.uint64) -> tuple[int, np.uint64]:
    """A node linked from `now` in proportion to its weight, and the state of the random numbers.

    `place` is a random number in [0, 1).
    """
    start, stop = links.indptr[now], links.indptr[now + 1]
    link = min(start + int(place * (stop - start)), stop - 1)
    if len(links.keep):
        state += GOLDEN
        if unit(state) >= links.keep[link]:
            link = start + links.other[link]
    return int(links.indices[link]), state


@compiled
def bias(links: Links, before: int, node: int, p: float, q: float) -> float:
    """The factor a of the formula."""
    if node == before:
        return 1.0 / p
    return 1.0 if find(links, before, node) >= 0 else 1.0 / q


@compiled
def scan_step(links: Links, before: int, now: int, p: float, q: float, place: float) -> int:
    """The next node by adding up the whole row."""
    target, total, node = np.inf, 0.0, -1
    for _ in range(2):
        total = 0.0
        for link in range(links.indptr[now], links.indptr[now + 1]):
            node = links.indices[link]
            weight = links.weights[link] if len(links.weights) else 1.0
            total += bias(links, before, node, p, q) * weight
            if total > target:
                return int(node)
        target = place * total
    return int(node)


@compiled
def return_share(links: Links, before: int, now: int, p: float, most: float) -> float:
    """The chance that a try goes back by what 1/p has above `most`."""
    back = find(links, now, before)
    if back < 0:
        return 0.0
    extra = (1.0 / p - most) * (links.weights[back] if len(links.weights) else 1.0)
    return float(extra / (extra + most * links.strengths[now]))


@compiled
def second_step(
    links: Links, before: int, now: int, p: float, q: float, state: np.uint64
) -> tuple[int, np.uint64]:
    """The node after `before` and `now`, and the state of the random numbers."""
    most, least, share = max(1.0, 1.0 / q), min(1.0, 1.0 / q), 0.0
    if 1.0 / p > most:
        share = return_share(links, before, now, p, most)
    for _ in range(TRIES):
        state += GOLDEN
        place = unit(state)
        if place < share:
            return before, state
        node, state = first_step(links, now, (place - share) / (1.0 - share), state)
        state += GOLDEN
        level = unit(state) * most
        if node == before:
            accepted = level < 1.0 / p
        else:
            # only between the two levels does it matter whether the candidate is a neighbour
            accepted = level < least or (find(links, before, node) >= 0) == (q >= 1.0)
        if accepted:
            return node, state
    state += GOLDEN
    return scan_step(links, before, now, p, q, unit(state)), state


@compiled
def walk_nodes(
    links: Links, p: float, q: float, seed: np.uint64, first: int,
    starts: NDArray[np.int32], walks: NDArray[np.int32],
) -> None:  # fmt: skip
    """The walks of a block.

    Args:
        first: number of the block's first walk, which names its random numbers.
        starts: (w,), the first nodes.
        walks: (w, length), written; -1 after a node without links.
    """
    plain = p == 1.0 and q == 1.0
    for row in range(len(starts)):
        state = stream(seed, np.uint64(first + row))
        before, now = -1, int(starts[row])
        walks[row, :] = -1
        walks[row, 0] = now
        for column in range(1, walks.shape[1]):
            if links.indptr[now] == links.indptr[now + 1]:
                break
            if plain or before < 0:
                state += GOLDEN
                node, state = first_step(links, now, unit(state), state)
            else:
                node, state = second_step(links, before, now, p, q, state)
            walks[row, column] = node
            before, now = now, int(node)
