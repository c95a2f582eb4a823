"""Correlation with people's judgements: Spearman's rho and Pearson's r."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from embedders.errors import OptionError
from embedders.evaluation.base import Figure
from embedders.evaluation.bootstrap import Floats, interval

FEWEST = 3


def correlations(gold: Floats, scores: Floats, suffix: str = "") -> tuple[Figure, Figure]:
    """Spearman's rho (ties share their mean rank) and Pearson's r of (n,) pairs.

    Args:
        suffix: what follows the names of the figures.

    Raises:
        OptionError: fewer than three pairs, or one side is constant.
    """
    if len(gold) < FEWEST:
        raise OptionError(
            "source", f"{len(gold)} pairs can be scored; at least {FEWEST} are needed"
        )
    if np.ptp(gold) == 0 or np.ptp(scores) == 0:
        raise OptionError("source", "all judgements, or all scores of the model, are the same")

    def spearman(drawn: NDArray[np.intp]) -> Floats:
        return _pearson(rankdata(gold[drawn], axis=1), rankdata(scores[drawn], axis=1))

    def pearson(drawn: NDArray[np.intp]) -> Floats:
        return _pearson(gold[drawn], scores[drawn])

    whole = np.arange(len(gold))[None, :]
    made = []
    for name, statistic in (("spearman", spearman), ("pearson", pearson)):
        low, high = interval(len(gold), statistic)
        value = float(statistic(whole)[0])
        made.append(Figure(f"{name}{suffix}", value, low, high, len(gold)))
    return made[0], made[1]


def _pearson(left: Floats, right: Floats) -> Floats:
    """r of each pair of rows, (r,); NaN where a row is constant."""
    left = left - left.mean(axis=1, keepdims=True)
    right = right - right.mean(axis=1, keepdims=True)
    spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (left * right).sum(axis=1) / spread
    return found
