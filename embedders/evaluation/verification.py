"""Verification: one person or two? Accuracy over ten folds, after LFW (Huang and others, 2007).

For each fold the threshold is the one that is best on the other nine; a pair is called the same
where its cosine is at least the threshold.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from embedders.base import EncodeOptions, Modality
from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject, embed_all, require
from embedders.evaluation.bootstrap import Floats, interval, mean_figure
from embedders.evaluation.files import Archive, Images, inside
from embedders.evaluation.pairs import Pairs, read_pairs
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
    scores, found = _scores(model, archive, pairs, params.cropped, progress)
    same = pairs.same[found]
    if not 0 < same.sum() < len(same):
        raise OptionError("source", "pairs of one person and of two are needed, and scored")
    right, thresholds = ten_fold(scores[found], same, pairs.fold[found])
    figures = (
        mean_figure("accuracy", right),
        auc(scores[found], same),
        mean_figure("threshold", thresholds),
    )
    return Outcome(figures, float(found.mean()))


def ten_fold(
    scores: Floats, same: NDArray[np.bool_], fold: IndexArray
) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each pair is judged rightly (n,), and the threshold of each fold (folds,)."""
    right = np.empty(len(scores), np.bool_)
    thresholds = []
    for number in np.unique(fold):
        held = fold == number
        threshold = best_threshold(scores[~held], same[~held])
        right[held] = (scores[held] >= threshold) == same[held]
        thresholds.append(threshold)
    return right, np.array(thresholds)


def best_threshold(scores: Floats, same: NDArray[np.bool_]) -> float:
    """The threshold of most right verdicts: the middle of the gap; the lowest of equal ones."""
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], same[order]
    # right verdicts when the first i are called different
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum()
    right[1:] -= np.cumsum(truth)
    middles = (ranked[1:] + ranked[:-1]) / 2
    edges = np.concatenate([[ranked[0] - MARGIN], middles, [ranked[-1] + MARGIN]])
    # equal scores cannot be parted
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    return float(edges[np.where(possible, right, -1).argmax()])


def _scores(
    model: Subject, archive: Archive, pairs: Pairs, cropped: bool, progress: Progress
) -> tuple[Floats, NDArray[np.bool_]]:
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
    return np.einsum("ij,ij->i", rows[left], rows[right], dtype=np.float64), found


def auc(scores: Floats, same: NDArray[np.bool_]) -> Figure:
    """Area under the ROC curve: how often a pair of one person has the higher score."""

    def statistic(drawn: IndexArray) -> Floats:
        return _areas(scores[drawn], same[drawn])

    low, high = interval(len(scores), statistic)
    value = float(_areas(scores[None], same[None])[0])
    return Figure("auc", value, low, high, len(scores))


def _areas(scores: Floats, same: NDArray[np.bool_]) -> Floats:
    """By rows, (r,); NaN where a row has pairs of one kind only (Mann and Whitney, 1947)."""
    positive = same.sum(axis=1)
    ranks = np.where(same, rankdata(scores, axis=1), 0).sum(axis=1)
    pairs = positive * (same.shape[1] - positive)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (ranks - positive * (positive + 1) / 2) / pairs
    return found


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
