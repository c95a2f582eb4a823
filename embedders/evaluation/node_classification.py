"""Classification of nodes from their vectors, the protocol of DeepWalk and node2vec.

One logistic regression a label (one against the rest) learns from a random share of the nodes and
is judged on the others: B. Perozzi and others, "DeepWalk" (2014); Grover and Leskovec, "node2vec"
(2016). There a node is given as many labels as it truly has, the most probable ones; without that
knowledge it is given those whose probability is at least one half.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from embedders.vectors import FloatRows, IndexArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_STEPS = 1000
# of the gradient's largest entry, for each row: scikit-learn's default. With 1e-3 for all rows
# together, a graph of 4,777 nodes took ten times as long, and its macro-F1 differed by 5e-5.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Classified:
    """F1 of each split, float64 (splits,): the mean over labels, and over all decisions.

    Args:
        truth: labels of the nodes that have any, bool (n, l).
        tested: nodes that each split was judged on, intp (tests,).
        decided: the labels that each split gave them, bool (tests, l).
    """

    macro_f1: Doubles
    micro_f1: Doubles
    truth: Flags
    tested: tuple[IndexArray, ...]
    decided: tuple[Flags, ...]


def classify_nodes(
    vectors: FloatRows,
    labels: Any,
    train_share: float = 0.5,
    splits: int = 10,
    known_counts: bool = True,
    seed: int = 0,
) -> Classified:
    """How well vectors tell the labels of nodes.

    Args:
        vectors: float32 (n, d).
        labels: (n, l), numpy or scipy sparse; what is not zero is a label of the node. Nodes
            without labels are left out.
        train_share: of the nodes, what the regressions learn from, in (0, 1).
        known_counts: give each node as many labels as it has (the papers' protocol).
        seed: of the splits.

    Raises:
        ValueError: shapes that do not fit, or too few nodes with labels.
    """
    flags = _flags(labels)
    if flags.ndim != 2 or len(flags) != len(vectors):
        raise ValueError(f"labels {flags.shape} do not fit vectors {vectors.shape}")
    labelled = flags.any(axis=1)
    rows, flags = np.asarray(vectors, np.float64)[labelled], flags[labelled]
    cut = round(train_share * len(rows))
    if not 0 < cut < len(rows):
        raise ValueError(f"{len(rows)} nodes have labels: too few to split at {train_share}")
    found, tested, decided = [], [], []
    for split in range(splits):
        order = np.random.default_rng((seed, split)).permutation(len(rows))
        train, test = order[:cut], order[cut:]
        scores = decide(rows[test], *fit_one_vs_rest(rows[train], flags[train]))
        given = most_probable(scores, flags[test].sum(axis=1)) if known_counts else scores >= 0
        found.append(f1_scores(flags[test], given))
        tested.append(test)
        decided.append(given)
    macro, micro = np.array(found).reshape(-1, 2).T
    return Classified(macro, micro, flags, tuple(tested), tuple(decided))


def fit_one_vs_rest(
    rows: Doubles, flags: Flags, c: float = 1.0, tolerance: float = TOLERANCE
) -> tuple[Doubles, Doubles]:
    """Logistic regressions of all labels at once, by L-BFGS: weights (d, l) and offsets (l,).

    Each minimises |w|^2 / 2 + c * sum of log(1 + e^-z), z = +-(w . x + b), as scikit-learn's
    LogisticRegression does; one matrix product serves all labels. A label that all nodes or none
    have gets the weights 0 and an infinite offset. It ends where no entry of the gradient is above
    n * `tolerance`.
    """
    (n, d), labels = rows.shape, flags.shape[1]
    signs = np.where(flags, 1.0, -1.0)
    padded = np.concatenate([rows, np.ones((n, 1))], axis=1)

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        both = flat.reshape(d + 1, labels)
        margins = signs * (padded @ both)
        small = np.exp(-np.abs(margins))
        slopes = -c * signs * np.where(margins > 0, small, 1.0) / (1.0 + small)
        gradient = padded.T @ slopes
        gradient[:d] += both[:d]
        value = (
            c * (np.log1p(small) + np.maximum(-margins, 0.0)).sum()
            + 0.5 * np.square(both[:d]).sum()
        )
        return float(value), gradient.ravel()

    start = np.zeros((d + 1) * labels)
    options = {"maxiter": MAX_STEPS, "maxcor": 20, "gtol": n * tolerance, "ftol": 1e-12}
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    both = solved.x.reshape(d + 1, labels)
    weights, offsets = both[:d].copy(), both[d].copy()
    shares = flags.mean(axis=0)
    weights[:, (shares == 0) | (shares == 1)] = 0.0
    offsets[shares == 0], offsets[shares == 1] = -np.inf, np.inf
    return weights, offsets


def decide(rows: Doubles, weights: Doubles, offsets: Doubles) -> Doubles:
    """Log odds of each label, (n, l)."""
    return np.asarray(rows @ weights + offsets)


def most_probable(scores: Doubles, counts: NDArray[np.int64]) -> Flags:
    """The `counts[i]` labels of the highest scores of row i, bool (n, l)."""
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return np.asarray(ranks < counts[:, None])


def f1_scores(truth: Flags, given: Flags) -> tuple[float, float]:
    """Macro and micro F1; a label that is neither true nor given anywhere counts as 0."""
    right = (truth & given).sum(axis=0)
    both = truth.sum(axis=0) + given.sum(axis=0)
    each = 2 * right / np.maximum(both, 1)
    return float(each.mean()), float(2 * right.sum() / max(1, both.sum()))


def _flags(labels: Any) -> Flags:
    dense = labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels)
    return np.asarray(dense != 0)
