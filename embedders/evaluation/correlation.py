"""Correlation with people's judgements: Spearman's rho and Pearson's r."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from embedders.errors import OptionError
from embedders.evaluation import dyads
from embedders.evaluation.base import Figure
from embedders.evaluation.bootstrap import Floats, interval

FEWEST = 3


def correlations(
    gold: Floats, scores: Floats, suffix: str = "", words: dyads.Dyads | None = None
) -> tuple[Figure, Figure]:
    """Spearman's rho (ties share their mean rank) and Pearson's r of (n,) pairs.

    Args:
        suffix: what follows the names of the figures.
        words: of each pair, where pairs share them: the intervals draw words then, not pairs.

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
    for name, statistic, ranked in (("spearman", spearman, True), ("pearson", pearson, False)):
        value = float(statistic(whole)[0])
        if words is None:
            low, high = interval(len(gold), statistic)
        else:
            x, y = (rankdata(side) if ranked else side for side in (gold, scores))
            low, high = _interval_of_words(x, y, value, words)
        made.append(Figure(f"{name}{suffix}", value, low, high, len(gold)))
    return made[0], made[1]


def _interval_of_words(
    left: Floats, right: Floats, value: float, words: dyads.Dyads
) -> tuple[float, float]:
    """The interval of Pearson's r of (n,) pairs of words, words drawn."""

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = weights / weights.sum(axis=1, keepdims=True)
            x, y = (side - (shares @ side)[:, None] for side in (left, right))
            spread = np.sqrt((shares * x**2).sum(axis=1) * (shares * y**2).sum(axis=1))
            found: Floats = (shares * x * y).sum(axis=1) / spread
        return found

    x, y = ((side - side.mean()) / side.std() for side in (left, right))
    influence = (x * y - value * (x**2 + y**2) / 2) / len(left)
    low, high = dyads.interval(words, statistic, influence)
    return max(-1.0, low), min(1.0, high)


def _pearson(left: Floats, right: Floats) -> Floats:
    """r of each pair of rows, (r,); NaN where a row is constant."""
    left = left - left.mean(axis=1, keepdims=True)
    right = right - right.mean(axis=1, keepdims=True)
    spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (left * right).sum(axis=1) / spread
    return found
