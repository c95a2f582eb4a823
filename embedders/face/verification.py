"""Same person or not: pairs after LFW's protocol, and thresholds of wanted error rates.

A pair is called the same person where its score (cosine) is at least the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of photos: positions (n,), whether of one person (n,), and their fold (n,)."""

    first: IndexArray
    second: IndexArray
    same: Truth
    fold: IndexArray

    def scores(self, rows: FloatRows) -> Scores:
        """Cosines of the pairs from unit rows (photos, dim), float64 (n,)."""
        products = np.einsum("ij,ij->i", rows[self.first], rows[self.second], dtype=np.float64)
        return np.asarray(products, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and the errors to expect at it.

    Args:
        far: false accept rate, the share of pairs of two people called the same.
        frr: false reject rate, the share of pairs of one person called different.
    """

    threshold: float
    far: float
    frr: float


def draw_pairs(labels: IndexArray, seed: int, most_each: int = 10, folds: int = FOLDS) -> Pairs:
    """As many pairs of two people as of one; no person in two folds, as in LFW.

    Args:
        labels: the person of each photo.
        most_each: pairs of one person at most, so that nobody's many photos decide.

    Raises:
        ValueError: a fold would have no pair of one person.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for number, people in enumerate(_split_people(labels, folds, rng)):
        same = _same_pairs(labels, people, most_each, rng)
        if not len(same):
            raise ValueError(f"fewer than {folds} people have two photos")
        different = _different_pairs(labels, people, len(same), rng)
        truth = np.repeat([True, False], [len(same), len(different)])
        parts.append((np.concatenate([same, different]), truth, np.full(len(truth), number)))
    positions, truths, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Pairs(positions[:, 0], positions[:, 1], truths, numbers)


def threshold_at_far(scores: Scores, same: Truth, far: float) -> float:
    """The lowest threshold whose false accept rate is at most `far`."""
    impostors = np.sort(scores[~same])[::-1]
    allowed = int(np.floor(far * len(impostors)))
    if allowed >= len(impostors):
        return float(impostors[-1])
    # just over the best impostor that must be refused
    return float(np.nextafter(impostors[allowed], np.inf))


def operating_point(scores: Scores, same: Truth, threshold: float) -> OperatingPoint:
    """The measured error rates of a threshold."""
    called = scores >= threshold
    return OperatingPoint(threshold, float(called[~same].mean()), float((~called)[same].mean()))


def all_pairs(labels: IndexArray, seed: int, most_each: int = 10) -> Pairs:
    """Every pair of two people, and up to `most_each` of each person, for rare false accepts."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(len(labels), 1)
    other = labels[first] != labels[second]
    same = _same_pairs(labels, np.unique(labels), most_each, rng)
    truth = np.repeat([True, False], [len(same), int(other.sum())])
    return Pairs(
        np.concatenate([same[:, 0], first[other]]),
        np.concatenate([same[:, 1], second[other]]),
        truth,
        np.zeros(len(truth), dtype=np.intp),
    )


def _split_people(labels: IndexArray, folds: int, rng: np.random.Generator) -> list[IndexArray]:
    """People of two photos and more dealt evenly over the folds, then the others."""
    people, counts = np.unique(labels, return_counts=True)
    known, single = people[counts > 1], people[counts == 1]
    dealt = np.concatenate([rng.permutation(known), rng.permutation(single)])
    return [dealt[start::folds] for start in range(folds)]


def _same_pairs(
    labels: IndexArray, people: IndexArray, most: int, rng: np.random.Generator
) -> IndexArray:
    """Up to `most` pairs of each person, intp (n, 2)."""
    found = [np.empty((0, 2), dtype=np.intp)]
    for person in people:
        photos = np.flatnonzero(labels == person)
        pairs = photos[np.stack(np.triu_indices(len(photos), 1), axis=1)]
        found.append(rng.permutation(pairs)[:most])
    return np.concatenate(found)


def _different_pairs(
    labels: IndexArray, people: IndexArray, count: int, rng: np.random.Generator
) -> IndexArray:
    """`count` pairs of photos of two people, all different, intp (at most count, 2)."""
    photos = np.flatnonzero(np.isin(labels, people))
    first, second = np.triu_indices(len(photos), 1)
    pairs = np.stack([photos[first], photos[second]], axis=1)
    pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    return np.asarray(pairs[rng.permutation(len(pairs))[:count]], dtype=np.intp)
