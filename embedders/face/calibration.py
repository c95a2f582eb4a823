"""Thresholds and figures of a trained face model, from people that it was not trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from embedders.evaluation.verification import best_threshold, ten_fold
from embedders.face.verification import (
    FOLDS,
    OperatingPoint,
    Pairs,
    all_pairs,
    draw_pairs,
    operating_point,
    threshold_at_far,
)
from embedders.vectors import FloatRows, IndexArray

FARS: Mapping[str, float] = {"far_1e-2": 1e-2, "far_1e-3": 1e-3}
PAIR_SEED = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Operating points by name, figures, and what stands in the way of either."""

    points: Mapping[str, OperatingPoint] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def thresholds(self) -> dict[str, dict[str, float]]:
        """Operating points as plain numbers: name to threshold, far and frr."""
        return {name: asdict(point) for name, point in self.points.items()}


def calibrate(
    labels: IndexArray, rows: FloatRows, test_labels: IndexArray, test_rows: FloatRows
) -> Calibration:
    """Thresholds from the calibration people, figures from the test people.

    "best" is the threshold of best accuracy on as many pairs of one person as of two;
    "far_1e-2" and "far_1e-3" are the lowest at which at most that share of all pairs of two
    people passes. The metrics tell what each does to the test people.
    """
    points, warnings = _points(labels, rows)
    try:
        metrics = measure(test_labels, test_rows)
    except ValueError as error:
        return Calibration(points, {}, (*warnings, f"no 10-fold accuracy: {error}"))
    pairs = all_pairs(test_labels, PAIR_SEED)
    scores = pairs.scores(test_rows)
    for name, point in points.items():
        found = operating_point(scores, pairs.same, point.threshold)
        metrics |= {f"{name}_test_far": found.far, f"{name}_test_frr": found.frr}
    return Calibration(points, metrics, warnings)


def measure(labels: IndexArray, rows: FloatRows) -> dict[str, float]:
    """10-fold accuracy of unit rows: its mean, its deviation between folds, and the pairs.

    Raises:
        ValueError: fewer than ten people have two photos.
    """
    pairs = draw_pairs(labels, PAIR_SEED)
    right, _ = ten_fold(pairs.scores(rows), pairs.same, pairs.fold)
    folds = [right[pairs.fold == number].mean() for number in range(FOLDS)]
    return {
        "accuracy_10_fold": float(np.mean(folds)),
        "accuracy_10_fold_std": float(np.std(folds, ddof=1)),
        "accuracy_pairs": float(len(right)),
    }


def _points(
    labels: IndexArray, rows: FloatRows
) -> tuple[dict[str, OperatingPoint], tuple[str, ...]]:
    try:
        balanced = draw_pairs(labels, PAIR_SEED, folds=1)
    except ValueError:
        return {}, ("no threshold: none of the people held out has two photos",)
    if balanced.same.all():
        return {}, ("no threshold: only one of the people was held out",)
    pairs = all_pairs(labels, PAIR_SEED)
    scores = pairs.scores(rows)
    best = best_threshold(balanced.scores(rows), balanced.same)
    wanted = {"best": best} | {
        name: threshold_at_far(scores, pairs.same, far)
        for name, far in FARS.items()
        if _enough(pairs, far)
    }
    return {name: operating_point(scores, pairs.same, t) for name, t in wanted.items()}, ()


def _enough(pairs: Pairs, far: float) -> bool:
    """Ten false accepts at least, or the rate is a guess."""
    return bool((~pairs.same).sum() * far >= 10)
