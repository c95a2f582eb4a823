"""The protocol of node classification against scikit-learn's."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from embedders.evaluation.node_classification import (
    classify_nodes,
    decide,
    f1_scores,
    fit_one_vs_rest,
    most_probable,
)

RNG = np.random.default_rng(4)
ROWS = RNG.normal(size=(400, 12)) * RNG.uniform(0.2, 2.0, 12)
FLAGS = (ROWS @ RNG.normal(size=(12, 6)) + RNG.normal(size=(400, 6)) * 2) > [1, 2, 3, 2, 1, 6]
FLAGS[:, 0] |= ~FLAGS.any(axis=1)


def test_regressions_are_scikit_learn_s() -> None:
    weights, offsets = fit_one_vs_rest(ROWS, FLAGS, tolerance=1e-7)
    for label in range(6):
        theirs = LogisticRegression(tol=1e-8, max_iter=5000).fit(ROWS, FLAGS[:, label])
        np.testing.assert_allclose(weights[:, label], theirs.coef_[0], atol=2e-3)
        np.testing.assert_allclose(offsets[label], theirs.intercept_[0], atol=2e-3)


def test_labels_that_all_or_none_have_are_given_to_all_or_none() -> None:
    flags = FLAGS.copy()
    flags[:, 1], flags[:, 2] = False, True
    scores = decide(ROWS, *fit_one_vs_rest(ROWS, flags))
    assert np.isneginf(scores[:, 1]).all()
    assert np.isposinf(scores[:, 2]).all()
    assert np.isfinite(scores[:, [0, 3, 4, 5]]).all()


@pytest.mark.parametrize("known", [True, False])
def test_the_protocol_is_that_of_the_papers(known: bool) -> None:
    found = classify_nodes(ROWS.astype(np.float32), csr_matrix(FLAGS), splits=3, known_counts=known)
    for split in range(3):
        order = np.random.default_rng((0, split)).permutation(400)
        train, test = order[:200], order[200:]
        model = OneVsRestClassifier(LogisticRegression(tol=1e-6, max_iter=1000))
        model.fit(ROWS[train].astype(np.float32), FLAGS[train].astype(int))
        given = model.predict(ROWS[test].astype(np.float32)) > 0
        if known:
            chances, given = model.predict_proba(ROWS[test].astype(np.float32)), given * False
            for i, count in enumerate(FLAGS[test].sum(axis=1)):
                given[i, np.argsort(-chances[i])[:count]] = True
        macro = f1_score(FLAGS[test], given, average="macro", zero_division=0)
        micro = f1_score(FLAGS[test], given, average="micro", zero_division=0)
        assert found.macro_f1[split] == pytest.approx(macro, abs=0.01)
        assert found.micro_f1[split] == pytest.approx(micro, abs=0.01)


def test_f1_is_scikit_learn_s() -> None:
    given = RNG.random(FLAGS.shape) < 0.3
    given[:, 4], truth = False, FLAGS.copy()
    truth[:, 4] = False
    macro, micro = f1_scores(truth, given)
    assert macro == pytest.approx(f1_score(truth, given, average="macro", zero_division=0))
    assert micro == pytest.approx(f1_score(truth, given, average="micro"))


def test_as_many_labels_as_asked_for() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [3.0, 1.0, 2.0], [0.0, 0.0, -1.0]])
    given = most_probable(scores, np.array([2, 0, 1]))
    np.testing.assert_array_equal(given, [[0, 1, 1], [0, 0, 0], [1, 0, 0]])


def test_nodes_without_labels_are_left_out_and_shapes_are_checked() -> None:
    rows = np.concatenate([ROWS, RNG.normal(size=(50, 12))]).astype(np.float32)
    flags = np.concatenate([FLAGS, np.zeros((50, 6), bool)])
    whole, part = classify_nodes(rows, flags, splits=2), classify_nodes(rows[:400], FLAGS, splits=2)
    np.testing.assert_array_equal(whole.macro_f1, part.macro_f1)
    again = classify_nodes(rows, flags, splits=2, seed=1)
    assert (again.macro_f1 != whole.macro_f1).all()
    with pytest.raises(ValueError, match="do not fit"):
        classify_nodes(rows, FLAGS)
    with pytest.raises(ValueError, match="too few"):
        classify_nodes(rows[:1], FLAGS[:1])
