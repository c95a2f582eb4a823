"""Verification: one person or two? Accuracy over ten folds, after LFW (Huang and others, 2007).

For each fold the threshold is the one that is best on the other nine, without the pairs of people
who are in this fold too; a pair is called the same where its cosine is at least the threshold.
Intervals draw people, whose pairs come with them: see `dyads`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from embedders.base import EncodeOptions, Modality
from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject, embed_all, require
from embedders.evaluation.bootstrap import Floats
from embedders.evaluation.dyads import Dyads, interval, intervals
from embedders.evaluation.files import Archive, Images, inside
from embedders.evaluation.pairs import Pairs, read_pairs
from embedders.evaluation.people import strangers
from embedders.options import STRICT
from embedders.training import Progress
from embedders.vectors import IndexArray

DEFAULT_FILES = ("pairs.csv", "pairs.txt")
# Beyond the outermost scores.
MARGIN = 1e-6


@dataclass(frozen=True, slots=True)
class VerificationParams:
    """Parameters.

    Args:
        images: folder or tar with the images, beside the file of pairs; "" is its folder.
        cropped: images are crops of faces already, nothing is detected.
    """

    __pydantic_config__: ClassVar = STRICT

    images: str = ""
    cropped: bool = False


def evaluate(
    model: Subject, source: str, params: VerificationParams, progress: Progress
) -> Outcome:
    """10-fold accuracy, area under the ROC curve, and the mean threshold.

    Pairs with an image in which the model finds nothing do not count; coverage tells how many.

    Raises:
        OptionError: not a model of images, or the files do not fit.
    """
    require(model, Modality.IMAGE, "verification")
    path = _pairs_file(Path(source))
    archive = Archive(_images(path.parent, params.images))
    pairs = read_pairs(path, archive)
    scores, embedded, found = _scores(model, archive, pairs, params.cropped, progress)
    same, people = pairs.same[found], pairs.people.part(found)
    if not 0 < same.sum() < len(same):
        raise OptionError("source", _too_few(pairs, found, embedded, params.cropped))
    accuracy, threshold = Folds(scores[found], same, pairs.fold[found], people).figures()
    figures = (accuracy, auc(scores[found], same, people), threshold)
    return Outcome(figures, float(found.mean()))


def ten_fold(
    scores: Floats,
    same: NDArray[np.bool_],
    fold: IndexArray,
    people: Dyads | None = None,
) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each pair is judged rightly (n,), and the threshold of each fold (folds,).

    Args:
        people: of the pairs; a fold's threshold then comes from pairs of nobody in the fold,
            where there are enough. None: no two folds share a person.
    """
    right = np.empty(len(scores), np.bool_)
    thresholds = []
    for number in np.unique(fold):
        held = fold == number
        others = _learnt_from(held, same, people)
        threshold = best_threshold(scores[others], same[others])
        right[held] = (scores[held] >= threshold) == same[held]
        thresholds.append(threshold)
    return right, np.array(thresholds)


class Folds:
    """Accuracy and threshold of ten folds, with intervals that draw people.

    Each draw chooses the thresholds of all folds anew from the pairs that it weighs.
    """

    def __init__(
        self, scores: Floats, same: NDArray[np.bool_], fold: IndexArray, people: Dyads
    ) -> None:
        self._right, thresholds = ten_fold(scores, same, fold, people)
        self._value = float(thresholds.mean())
        self._people = people
        self._order = np.argsort(scores, kind="stable")
        self._same, ranked = same[self._order], scores[self._order]
        self._edges, self._possible = _edges(ranked)
        helds = [fold == number for number in np.unique(fold)]
        self._folds = [
            (held[self._order], _learnt_from(held, same, people)[self._order]) for held in helds
        ]

    def figures(self) -> tuple[Figure, Figure]:
        """Share of the pairs that are judged rightly, and mean of the folds' thresholds."""
        value, count = float(self._right.mean()), len(self._right)
        influence = (self._right - value) / count
        accuracy, threshold = intervals(self._people, self._drawn, influence)
        low, high = accuracy
        return (
            Figure("accuracy", value, max(0.0, low), min(1.0, high), count),
            Figure("threshold", self._value, *threshold, count),
        )

    def _drawn(self, weights: Floats) -> Floats:
        """Accuracy and mean threshold of pairs weighed (r, n); (2, r)."""
        ordered = weights[:, self._order]
        gains = np.where(self._same, -ordered, ordered)
        right, threshold = np.zeros(len(weights)), np.zeros(len(weights))
        for held, others in self._folds:
            cut = np.where(self._possible, _sums(gains * others), -np.inf).argmax(axis=1)
            threshold += self._edges[cut]
            # right verdicts when the first `cut` are called different
            base = (ordered * (held & self._same)).sum(axis=1)
            right += base + np.take_along_axis(_sums(gains * held), cut[:, None], 1)[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.stack([right / ordered.sum(axis=1), threshold / len(self._folds)])


def _sums(values: Floats) -> Floats:
    """Sums of the first 0 to n values of each row, (r, n + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _learnt_from(
    held: NDArray[np.bool_], same: NDArray[np.bool_], people: Dyads | None
) -> NDArray[np.bool_]:
    """The pairs that a fold's threshold comes from, bool (n,)."""
    others = ~held if people is None else strangers(people, held, same)
    # one fold alone has no others to learn from
    return others if others.any() else held


def best_threshold(scores: Floats, same: NDArray[np.bool_]) -> float:
    """The threshold of most right verdicts: the middle of the gap; the lowest of equal ones."""
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], same[order]
    # right verdicts when the first i are called different
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum()
    right[1:] -= np.cumsum(truth)
    edges, possible = _edges(ranked)
    return float(edges[np.where(possible, right, -1).argmax()])


def _edges(ranked: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Thresholds between ascending scores, (n + 1,), and where equal scores would be parted."""
    middles = (ranked[1:] + ranked[:-1]) / 2
    edges = np.concatenate([[ranked[0] - MARGIN], middles, [ranked[-1] + MARGIN]])
    return edges, np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])


def _scores(
    model: Subject, archive: Archive, pairs: Pairs, cropped: bool, progress: Progress
) -> tuple[Floats, dict[str, str], NDArray[np.bool_]]:
    """Cosine of each pair, why images have no row, and whether each pair has its cosine."""
    names = list(dict.fromkeys([*pairs.left, *pairs.right]))
    missing = next((name for name in names if name not in archive), None)
    if missing is not None:
        raise OptionError("source", f"image {missing!r} of a pair is not among the images")
    place = {name: i for i, name in enumerate(names)}
    options = EncodeOptions(cropped=cropped)
    embedded = embed_all(model, Images(archive, names), options, progress, "images")
    left = np.array([place[name] for name in pairs.left], np.intp)
    right = np.array([place[name] for name in pairs.right], np.intp)
    found = embedded.found[left] & embedded.found[right]
    rows = embedded.rows
    reasons = {names[i]: reason for i, reason in sorted(embedded.errors.items())}
    return np.einsum("ij,ij->i", rows[left], rows[right], dtype=np.float64), reasons, found


def _too_few(pairs: Pairs, found: NDArray[np.bool_], reasons: dict[str, str], cropped: bool) -> str:
    """Why there are no pairs of both kinds: the file has none, or the model sees no faces."""
    message = (
        "verification needs pairs of one person and of two people; "
        f"the file has {pairs.same.sum()} and {(~pairs.same).sum()}"
    )
    if found.all():
        return message
    kept = pairs.same[found]
    name, reason = next(iter(reasons.items()))
    cure = "" if cropped else "; where the images are crops of faces, set the parameter cropped"
    return (
        f"{message}, of which {kept.sum()} and {(~kept).sum()} are left: the model finds nothing "
        f"in {len(reasons)} of the images, the first {name!r}: {reason}{cure}"
    )


def auc(scores: Floats, same: NDArray[np.bool_], people: Dyads) -> Figure:
    """Area under the ROC curve: how often a pair of one person has the higher score.

    The middle ranks count pairs of equal scores as one half (Mann and Whitney, 1947).
    """
    order = np.argsort(scores, kind="stable")
    groups = np.unique(scores[order], return_index=True)[1]

    def below(weights: Floats) -> Floats:
        """Share of the weight that has a lower score, equal scores half; by pair, as ordered."""
        sums = np.add.reduceat(weights, groups, axis=1)
        middle = np.cumsum(sums, axis=1) - sums / 2
        sizes = np.diff([*groups, len(scores)])
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.repeat(middle, sizes, axis=1) / weights.sum(axis=1, keepdims=True)
        return found

    truth = same[order]

    def area(weights: Floats) -> Floats:
        ordered = weights[:, order]
        ranks = below(ordered * ~truth)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (ranks * ordered * truth).sum(axis=1) / (ordered * truth).sum(axis=1)
        return found

    ones = np.ones((1, len(scores)))
    value = float(area(ones)[0])
    influence = np.empty(len(scores))
    others = np.where(truth, below(ones * ~truth)[0], 1 - below(ones * truth)[0])
    influence[order] = (others - value) / np.where(truth, truth.sum(), (~truth).sum())
    low, high = interval(people, area, influence)
    return Figure("auc", value, max(0.0, low), min(1.0, high), len(scores))


def _pairs_file(source: Path) -> Path:
    if source.is_file():
        return source
    found = [source / name for name in DEFAULT_FILES if (source / name).is_file()]
    if not found:
        raise OptionError("source", f"{source.name} has no {' or '.join(DEFAULT_FILES)}")
    return inside(source, found[0].name)


def _images(folder: Path, name: str) -> Path:
    if not name:
        return folder
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise OptionError("images", f"{name!r} is not a folder or tar beside the file of pairs")
    return path
