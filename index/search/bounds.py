"""How far scores computed in float32 may be from the true ones.

Let u = 2^-24 and gamma(m) = m u / (1 - m u). A sum of m products in float32, in whatever order and
with fused operations or without, differs from the true sum by at most gamma(m) * sum |a_i b_i|
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), hence by at most
gamma(m) |a| |b|, and by what underflow takes: 2^-126 for each operation.

Rows x and queries q are compared from a centre c, the origin or the middle of the rows:

    l2    -|x - q|^2 = 2 a.b - a.a - b.b     a = x - c, b = q - c
    dot          x.q = a.b + c.q             a = x - c, b = q

The last term is the same for every row; it is computed in float64 and called the shift. The others
are float32 products of a and b rounded to float32, which multiplies each coordinate by a number
within 1 - u and 1 + u. With one more rounding for the difference, what is computed lies within

    l2    gamma(d + 3) (2 |a| |b| + |a|^2)
    dot   gamma(d + 2) |a| |b|

of the true value. `error_bound` has d + 8 in their place, which also covers lengths measured in
float32, and adds the underflow and the rounding of the float64 terms.
"""

import math
import weakref

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows

Numbers = NDArray[np.float64]

_UNIT, _UNIT_64 = 2.0**-24, 2.0**-53
_TINY = 2.0**-126
# float32 ends at 2^128; sums of numbers below this do not reach it
_LARGE = 2.0**126
_BLOCK_NUMBERS = 1 << 19


def gamma(count: int) -> float:
    """Relative error of a float32 sum of so many products."""
    return count * _UNIT / (1 - count * _UNIT)


def error_bound(
    squares: bool, dim: int, longest: float, lengths: Numbers, reach: float = 0.0
) -> Numbers:
    """How far a score may be from the true one, float64 (q,); inf where products may overflow.

    Args:
        squares: whether the metric is l2.
        longest: no row is longer, measured from the centre.
        lengths: (q,), of the queries as they are multiplied.
        reach: length of the centre under dot.
    """
    sizes = 2 * longest * lengths + longest**2 if squares else longest * lengths
    wide = (longest + lengths) ** 2 if squares else (longest + reach) * lengths
    underflow = (8 * dim + 16) * _TINY * (1 + longest + lengths)
    bound = gamma(dim + 8) * sizes + 8 * (dim + 8) * _UNIT_64 * wide + underflow
    return np.where(sizes < _LARGE, bound, np.inf)


def longest_of(squares: NDArray[np.float32], dim: int) -> float:
    """A length that no row exceeds, from squares of lengths computed in float32 (n,)."""
    largest = float(squares.max(initial=0))
    return math.sqrt(largest) * (1 + gamma(dim + 8)) + math.sqrt(2 * dim * _TINY)


def longest_row(rows: FloatRows) -> float:
    """As `longest_of`, of an array that never changes; remembered as long as the array lives."""
    if (known := _LONGEST.get(id(rows))) is not None:
        return known
    count, dim = rows.shape
    step, longest = max(1, _BLOCK_NUMBERS // max(1, dim)), 0.0
    for start in range(0, count, step):
        block = rows[start : start + step]
        with np.errstate(over="ignore"):
            longest = max(longest, longest_of(np.einsum("ij,ij->i", block, block), dim))
    remember_longest(rows, longest)
    return longest


def remember_longest(rows: FloatRows, longest: float) -> None:
    """Says what `longest_row` would find out."""
    _LONGEST[id(rows)] = longest
    weakref.finalize(rows, _LONGEST.pop, id(rows), None).atexit = False


_LONGEST: dict[int, float] = {}
