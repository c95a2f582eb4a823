"""Skip-gram with negative sampling over walks, as machine code.

For a node o and the nodes i around it, and k noise nodes n drawn by visits^0.75, the update climbs

    sum over i of [ log s(u_o . v_i) + sum over n of log s(-u_n . v_i) ],   s(x) = 1 / (1 + e^-x)

(Mikolov and others, 2013). The nodes of one window share their noise nodes (S. Ji and others,
"Parallelizing Word2Vec in Shared and Distributed Memory", 2016): their rows stay in the nearest
cache, which is what makes it fast. Each step starts from what the one before it left, as in
word2vec. A pair whose |x| is LARGEST or more is passed over, as in word2vec and gensim: what is
learned is left alone, and a noise node so near is more likely a neighbour. Threads update the
same matrices without locks (F. Niu and others, "Hogwild!", 2011).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.compiled import GOLDEN, compiled, fast_compiled, stream, unit

LARGEST = 6.0
STEPS = 4096


class Weights(NamedTuple):
    """What is trained, and what is drawn from.

    Args:
        inner, outer: the v and u of the formula, float32 (n, d), updated in place.
        keep, other: alias table of the noise nodes, float32 and int32 (n,).
        chances: float32 (n,), with which a visit is kept.
        sigmoid: float32 (2 * STEPS + 1,), s between -LARGEST and LARGEST.
    """

    inner: NDArray[np.float32]
    outer: NDArray[np.float32]
    keep: NDArray[np.float32]
    other: NDArray[np.int32]
    chances: NDArray[np.float32]
    sigmoid: NDArray[np.float32]


class Settings(NamedTuple):
    """Window, noise nodes a window, and learning rates at the block's start and end."""

    window: int
    negative: int
    rate: float
    last_rate: float


def sigmoid_table() -> NDArray[np.float32]:
    """s at even distances from -LARGEST to LARGEST."""
    x = np.linspace(-LARGEST, LARGEST, 2 * STEPS + 1)
    return (1 / (1 + np.exp(-x))).astype(np.float32)


@compiled
def thin_out(
    walk: NDArray[np.int32], chances: NDArray[np.float32], kept: NDArray[np.int32],
    state: np.uint64,
) -> tuple[int, np.uint64]:  # fmt: skip
    """Writes the visits that are kept; their number, and the state of the random numbers."""
    count = 0
    for node in walk:
        if node < 0:
            break
        state += GOLDEN
        if unit(state) < chances[node]:
            kept[count] = node
            count += 1
    return count, state


@compiled
def draw_noise(
    weights: Weights, negative: int, targets: NDArray[np.int32], state: np.uint64
) -> tuple[int, np.uint64]:
    """Writes noise nodes behind targets[0], which none of them is; the number of targets."""
    count, n = 1, len(weights.keep)
    for _ in range(negative):
        state += GOLDEN
        node = int(unit(state) * n)
        state += GOLDEN
        if unit(state) >= weights.keep[node]:
            node = weights.other[node]
        if node != targets[0]:
            targets[count] = node
            count += 1
    return count, state


@fast_compiled
def slope(
    x: np.float32, label: np.float32, rate: np.float32, table: NDArray[np.float32]
) -> np.float32:
    """Rate times (label - s(x)), s from the table; 0 beyond its ends."""
    limit = np.float32(LARGEST)
    if x <= -limit or x >= limit:
        return np.float32(0.0)
    return np.float32(rate * (label - table[int((x + limit) * np.float32(STEPS / LARGEST))]))


@fast_compiled
def update_six(
    row: NDArray[np.float32], rows: NDArray[np.float32], rates: NDArray[np.float32],
    table: NDArray[np.float32], label: np.float32,
) -> None:  # fmt: skip
    """One node of a window against six targets, of which the first has the label.

    Written out by hand: the compiler keeps six sums in registers only where it sees six.

    Args:
        row: (d,), v of the node, updated.
        rows: (6, d), u of the targets, updated.
        rates: (6,), learning rates of the targets; 0 where there is none.
    """
    a = b = c = d = e = f = zero = np.float32(0.0)
    for k in range(len(row)):
        x = row[k]
        a += x * rows[0, k]
        b += x * rows[1, k]
        c += x * rows[2, k]
        d += x * rows[3, k]
        e += x * rows[4, k]
        f += x * rows[5, k]
    a, b = slope(a, label, rates[0], table), slope(b, zero, rates[1], table)
    c, d = slope(c, zero, rates[2], table), slope(d, zero, rates[3], table)
    e, f = slope(e, zero, rates[4], table), slope(f, zero, rates[5], table)
    for k in range(len(row)):
        x = row[k]
        near = a * rows[0, k] + b * rows[1, k] + c * rows[2, k]
        far = d * rows[3, k] + e * rows[4, k] + f * rows[5, k]
        rows[0, k] += a * x
        rows[1, k] += b * x
        rows[2, k] += c * x
        rows[3, k] += d * x
        rows[4, k] += e * x
        rows[5, k] += f * x
        row[k] = x + near + far


@fast_compiled
def update_window(
    weights: Weights, window: NDArray[np.int32], middle: int,
    rows: NDArray[np.float32], rates: NDArray[np.float32],
) -> None:  # fmt: skip
    """The nodes of a window, but for the middle one, against the targets."""
    one, zero = np.float32(1.0), np.float32(0.0)
    for i in range(len(window)):
        if i != middle:
            row = weights.inner[window[i]]
            for j in range(0, len(rows), 6):
                label = one if j == 0 else zero
                update_six(row, rows[j : j + 6], rates[j : j + 6], weights.sigmoid, label)


@fast_compiled
def copy_row(
    source: NDArray[np.float32], row: NDArray[np.float32], before: NDArray[np.float32]
) -> None:
    """Takes a row to work with, and keeps what it was."""
    for k in range(len(source)):
        row[k] = before[k] = source[k]


@fast_compiled
def add_change(
    row: NDArray[np.float32], before: NDArray[np.float32], goal: NDArray[np.float32]
) -> None:
    """Adds what has changed, so that a node drawn twice, or by two threads, keeps both steps."""
    for k in range(len(goal)):
        goal[k] += row[k] - before[k]


@fast_compiled
def train_walks(
    weights: Weights, settings: Settings, seed: np.uint64, first: int, walks: NDArray[np.int32]
) -> None:
    """Trains on the walks of a block.

    Args:
        first: number of the block's first walk, which names its random numbers.
        walks: int32 (walks, length); -1 after the end of a short one.
    """
    d, most = weights.inner.shape[1], -(-(settings.negative + 1) // 6) * 6
    kept, targets = np.empty(walks.shape[1], np.int32), np.empty(most, np.int32)
    rows, before = np.zeros((most, d), np.float32), np.zeros((most, d), np.float32)
    rates = np.zeros(most, np.float32)
    for w in range(len(walks)):
        rate = settings.rate + (settings.last_rate - settings.rate) * w / len(walks)
        state = stream(seed, np.uint64(first + w))
        length, state = thin_out(walks[w], weights.chances, kept, state)
        for i in range(length):
            state += GOLDEN
            reach = 1 + int(unit(state) * settings.window)
            targets[0] = kept[i]
            count, state = draw_noise(weights, settings.negative, targets, state)
            rates[:count], rates[count:] = rate, 0.0
            for j in range(count):
                copy_row(weights.outer[targets[j]], rows[j], before[j])
            start = max(0, i - reach)
            window = kept[start : min(length, i + reach + 1)]
            update_window(weights, window, i - start, rows, rates)
            for j in range(count):
                add_change(rows[j], before[j], weights.outer[targets[j]])
