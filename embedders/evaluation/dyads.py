"""95 % intervals of figures over pairs, where pairs share what they are made of.

Two pairs with a person in common are no independent items: a face that is hard to tell is hard in
all its pairs. What is independent are the units (people, words, pairs of words), so these are
drawn with replacement, and a pair counts as often as both of its units were drawn (Snijders and
Borgatti, 1999). The product also multiplies what is a pair's own, and so spreads too far where a
unit is in few pairs. The draws are therefore scaled about the figure to the standard error that
holds for pairs of units (Aronow, Samii and Assenova, 2015):

    V = sum over units u of (sum of the influences of u's pairs)^2 - sum of influence^2 of pairs
        of two units, at least what independent pairs would give.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.evaluation.base import Figure
from embedders.evaluation.bootstrap import BLOCK, LEVELS, RESAMPLES, SEED, Floats
from embedders.vectors import IndexArray

#: of weights (r, n), a value for each row; NaN where it is not defined
Weighted = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Dyads:
    """The two units of each pair, intp (n,), numbered from 0; both may be the same."""

    first: IndexArray
    second: IndexArray

    def part(self, chosen: NDArray[np.bool_]) -> "Dyads":
        """Some of the pairs, bool (n,), and the units in them, numbered anew."""
        both = np.stack([self.first[chosen], self.second[chosen]])
        numbers = np.unique(both, return_inverse=True)[1].reshape(both.shape)
        return Dyads(numbers[0], numbers[1])

    @property
    def units(self) -> int:
        """How many there are."""
        return int(max(self.first.max(), self.second.max())) + 1 if len(self.first) else 0

    def variance(self, influence: Floats) -> float:
        """V of the head of this module; influence is float64 (n,)."""
        sums = np.bincount(self.first, influence, self.units)
        two = self.first != self.second
        sums += np.bincount(self.second[two], influence[two], self.units)
        squares = influence**2
        return float(max((sums**2).sum() - squares[two].sum(), squares.sum()))

    def draws(self) -> Iterator[Floats]:
        """How often each pair counts, float64 (r, n): blocks of `RESAMPLES` rows in all."""
        rng = np.random.default_rng(SEED)
        rows = max(1, BLOCK // max(len(self.first), 1))
        shares = np.full(self.units, 1 / self.units)
        two = self.first != self.second
        for done in range(0, RESAMPLES, rows):
            counts = rng.multinomial(self.units, shares, min(rows, RESAMPLES - done))
            weights = counts[:, self.first].astype(np.float64)
            weights[:, two] *= counts[:, self.second[two]]
            yield weights


def interval(dyads: Dyads, statistic: Weighted, influence: Floats) -> tuple[float, float]:
    """Ends of the interval of a statistic of the pairs.

    Args:
        influence: how far each pair moves the figure, float64 (n,), summing to about 0.
    """
    [ends] = intervals(dyads, lambda weights: statistic(weights)[None], influence)
    return ends


def intervals(dyads: Dyads, statistics: Weighted, influence: Floats) -> list[tuple[float, float]]:
    """As `interval`, of several statistics of the same draws.

    Args:
        statistics: of weights (r, n), a row of values each, (statistics, r).
    """
    whole = statistics(np.ones((1, len(influence))))[:, 0]
    if dyads.units < 2:
        return [(float("nan"), float("nan"))] * len(whole)
    parts = [(statistics(weights), weights @ influence) for weights in dyads.draws()]
    drawn = np.concatenate([values for values, _ in parts], axis=1)
    linear = np.concatenate([sums for _, sums in parts])
    error = np.sqrt(dyads.variance(influence))
    return [
        _ends(float(centre), values, linear, error)
        for centre, values in zip(whole, drawn, strict=True)
    ]


def _ends(centre: float, drawn: Floats, linear: Floats, error: float) -> tuple[float, float]:
    """The middle 95 % of the draws, scaled about the centre from their spread to the error."""
    kept = np.isfinite(drawn)
    if not kept.any():
        return float("nan"), float("nan")
    spread = float(linear[kept].std())
    scale = error / spread if spread > 0 else 1.0
    low, high = centre + scale * (np.percentile(drawn[kept], LEVELS) - centre)
    return float(low), float(high)


def mean_figure(name: str, values: NDArray[np.generic], dyads: Dyads) -> Figure:
    """The mean of a value in [0, 1] of each pair, (n,)."""
    numbers = values.astype(np.float64)
    mean = float(numbers.mean())

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = weights @ numbers / weights.sum(axis=1)
        return found

    low, high = interval(dyads, statistic, (numbers - mean) / len(numbers))
    return Figure(name, mean, max(0.0, low), min(1.0, high), len(numbers))
