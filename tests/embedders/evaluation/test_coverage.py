"""The 95 % intervals of every task hold the truth about as often as they say.

Data are drawn from models whose true figures are known in closed form, or else are the mean over
the draws. What belongs together in a test set (people, words,
pairs of words, captions of an image) has an effect of its own, so that intervals over single
items would be too narrow. LATENTSPACE_LONG=1 draws three times as often.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from embedders.evaluation import bootstrap, dyads
from embedders.evaluation.analogies import Questions, pairs_of_words
from embedders.evaluation.base import Figure
from embedders.evaluation.correlation import correlations
from embedders.evaluation.dyads import Dyads
from embedders.evaluation.node_classification import classify_nodes
from embedders.evaluation.nodes import f1_figures
from embedders.evaluation.people import dealt
from embedders.evaluation.verification import Folds, auc

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
DRAWS = 600 if LONG else 200
# an interval that always holds the truth is as wrong as one that seldom does
LEAST, MOST = 0.90, 0.99

Random = np.random.Generator


def covered(
    draw: Callable[[Random], Sequence[Figure]], truth: Mapping[str, float]
) -> dict[str, float]:
    """How often the interval of each figure holds its truth, or the mean where none is known."""
    drawn = [draw(np.random.default_rng((7, seed))) for seed in range(DRAWS)]
    shares = {}
    for figures in zip(*drawn, strict=True):
        name = figures[0].name
        known = truth.get(name, float(np.mean([figure.value for figure in figures])))
        shares[name] = float(np.mean([figure.low <= known <= figure.high for figure in figures]))
    return shares


def holds(shares: Mapping[str, float]) -> bool:
    return all(LEAST <= share <= MOST for share in shares.values())


def test_retrieval_and_zero_shot_draw_queries_and_images() -> None:
    def recall(random: Random) -> list[Figure]:
        return [bootstrap.mean_figure("recall", random.beta(2, 1, 120))]

    def accuracy(random: Random) -> list[Figure]:
        return [bootstrap.mean_figure("accuracy", random.random(120) < 0.6)]

    shares = covered(recall, {"recall": 2 / 3}) | covered(accuracy, {"accuracy": 0.6})
    assert holds(shares), shares


def test_cross_modal_retrieval_draws_images_with_their_captions() -> None:
    def draw(random: Random) -> list[Figure]:
        ease = random.beta(1, 1, 120)
        hits = random.binomial(5, ease)
        return [bootstrap.mean_figure("recall", hits, np.full(120, 5))]

    shares = covered(draw, {"recall": 0.5})
    assert holds(shares), shares


def test_sts_draws_pairs_of_sentences() -> None:
    rho = 0.7

    def draw(random: Random) -> Sequence[Figure]:
        return correlations(*random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 150).T)

    shares = covered(draw, {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2)})
    assert holds(shares), shares


def test_word_similarity_draws_words() -> None:
    words, pairs, rho = 80, 200, 0.6

    def draw(random: Random) -> Sequence[Figure]:
        effects = random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], words)
        own = random.multivariate_normal([0, 0], [[2, 2 * rho], [2 * rho, 2]], pairs)
        first = random.integers(words, size=pairs)
        second = (first + random.integers(1, words, size=pairs)) % words
        gold, scores = (effects[first] + effects[second] + own).T
        return correlations(gold, scores, "", Dyads(first, second))

    shares = covered(draw, {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2)})
    assert holds(shares), shares


def test_analogies_draw_pairs_of_words() -> None:
    count = 14
    words = [
        [f"a{i}", f"b{i}", f"a{j}", f"b{j}"] for i in range(count) for j in range(count) if i != j
    ]
    pairs = pairs_of_words(Questions(["s"], np.zeros(len(words), np.intp), words))
    # both halves of a question are pairs of one list
    assert pairs.units == count

    def draw(random: Random) -> list[Figure]:
        effects = random.normal(0, 1, pairs.units)
        ease = 0.5 + effects[pairs.first] + effects[pairs.second] + random.normal(0, 1, len(words))
        return [dyads.mean_figure("accuracy", ease > 0, pairs)]

    shares = covered(draw, {"accuracy": float(norm.cdf(0.5 / np.sqrt(3)))})
    assert holds(shares), shares
    # the questions drawn one by one, as if each were independent
    alone = covered(
        lambda random: [bootstrap.mean_figure("accuracy", draw_right(random, pairs))],
        {"accuracy": float(norm.cdf(0.5 / np.sqrt(3)))},
    )
    assert alone["accuracy"] < LEAST


def draw_right(random: Random, pairs: Dyads) -> NDArray[np.bool_]:
    effects = random.normal(0, 1, pairs.units)
    noise = random.normal(0, 1, len(pairs.first))
    return np.asarray(0.5 + effects[pairs.first] + effects[pairs.second] + noise > 0)


@pytest.mark.parametrize(("people", "strangers"), [(60, 180), (25, 300)])
def test_verification_draws_people(people: int, strangers: int) -> None:
    gap, effect, photos = 2.0, 0.5, 3

    def draw(random: Random) -> list[Figure]:
        ease = random.normal(0, effect, people)
        first = np.concatenate(
            [np.repeat(np.arange(people), photos), random.integers(people, size=strangers)]
        )
        other = (first + random.integers(1, people, size=len(first))) % people
        same = np.arange(len(first)) < people * photos
        second = np.where(same, first, other)
        shift = np.where(same, gap + np.sqrt(2) * ease[first], ease[first] + ease[second])
        scores = shift + random.normal(0, 1, len(first))
        pairs = Dyads(first, second)
        accuracy, threshold = Folds(scores, same, dealt(pairs), pairs).figures()
        return [accuracy, threshold, auc(scores, same, pairs)]

    # the accuracy and threshold that learnt thresholds reach are a little off the best ones
    spread = np.sqrt(1 + 2 * effect**2)
    shares = covered(draw, {"auc": float(norm.cdf(gap / spread / np.sqrt(2)))})
    if people < 50:
        # of so few people, the interval of the accuracy is wider than it need be
        assert shares.pop("accuracy") >= LEAST
    assert holds(shares), shares


def test_node_classification_draws_nodes() -> None:
    weights = np.random.default_rng(3).normal(size=(6, 3))

    def draw(random: Random) -> Sequence[Figure]:
        rows = random.normal(size=(160, 6)).astype(np.float32)
        labels = rows @ weights + random.normal(0, 1.5, (160, 3)) > 0.7
        return f1_figures(classify_nodes(rows, labels, splits=3, known_counts=False))

    shares = covered(draw, {})
    assert holds(shares), shares
