"""95 % confidence intervals by the percentile bootstrap (Efron, 1979).

A thousand times, as many items as there are are drawn with replacement and the figure is computed
again; the interval holds the middle 95 % of what comes out. The seed is fixed: the same items
give the same interval.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embedders.evaluation.base import Figure

RESAMPLES = 1000
SEED = 20_131
LEVELS = (2.5, 97.5)
# Drawn indices held at once.
BLOCK = 4_000_000

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.intp]], Floats]


def interval(items: int, statistic: Statistic) -> tuple[float, float]:
    """Ends of the interval of a statistic.

    Args:
        items: how many are drawn from.
        statistic: of index rows (r, items), one value a row; NaN where it is not defined.
    """
    rng = np.random.default_rng(SEED)
    rows = max(1, BLOCK // max(items, 1))
    parts = [
        statistic(rng.integers(0, items, (min(rows, RESAMPLES - done), items)))
        for done in range(0, RESAMPLES, rows)
    ]
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.percentile(drawn, LEVELS)
    return float(low), float(high)


def mean_figure(
    name: str, sums: NDArray[np.generic], counts: NDArray[np.generic] | None = None
) -> Figure:
    """A mean over items, or over groups of items that are drawn as wholes.

    Args:
        sums: a value for each item, or the sum of each group, (n,).
        counts: items of each group, (n,); None where each is one item.
    """
    total = sums.astype(np.float64)
    size = np.ones(len(total)) if counts is None else counts.astype(np.float64)

    def statistic(drawn: NDArray[np.intp]) -> Floats:
        found: Floats = total[drawn].sum(axis=1) / size[drawn].sum(axis=1)
        return found

    low, high = interval(len(total), statistic)
    return Figure(name, float(total.sum() / size.sum()), low, high, int(size.sum()))
