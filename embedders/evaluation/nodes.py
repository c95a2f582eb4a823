"""Node classification: do vectors tell the labels of nodes? See `node_classification`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject
from embedders.evaluation.bootstrap import Floats, interval
from embedders.evaluation.labels import read_labels
from embedders.evaluation.node_classification import Classified, classify_nodes
from embedders.options import STRICT
from embedders.training import Progress


@dataclass(frozen=True, slots=True)
class NodeParams:
    """Parameters.

    Args:
        train_share: of the nodes, what the regressions learn from.
        splits: random divisions of the nodes.
        known_counts: give each node as many labels as it has, as the papers do.
        seed: of the splits.
    """

    __pydantic_config__: ClassVar = STRICT

    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    splits: Annotated[int, Field(ge=1, le=1000)] = 10
    known_counts: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


def evaluate(model: Subject, source: str, params: NodeParams, progress: Progress) -> Outcome:
    """Macro and micro F1, means over the splits; the intervals draw nodes.

    Raises:
        OptionError: not a lookup model, or too few labelled nodes that it knows.
    """
    if not model.info.has_vocabulary:
        message = f"node classification needs a model with a vocabulary; {model.info.id!r} has none"
        raise OptionError("model", message)
    given = read_labels(Path(source))
    keys, rows = model.vocabulary(0)
    place = {key: i for i, key in enumerate(keys)}
    found = np.array([place.get(node, -1) for node in given.nodes], np.intp)
    known = found >= 0
    progress("classifying", 0, params.splits)
    try:
        scores = classify_nodes(
            rows[found[known]],
            given.labels[known],
            params.train_share,
            params.splits,
            params.known_counts,
            params.seed,
        )
    except ValueError as error:
        raise OptionError("source", f"{Path(source).name}: {error}") from error
    progress("classifying", params.splits, params.splits)
    return Outcome(f1_figures(scores), float(known.mean()))


def f1_figures(scores: Classified) -> tuple[Figure, Figure]:
    """Means over the splits; a node that is drawn twice counts twice wherever it was judged."""
    nodes = len(scores.truth)
    made = []
    for place, values in enumerate((scores.macro_f1, scores.micro_f1)):
        low, high = interval(nodes, lambda drawn, place=place: drawn_f1(scores, drawn)[place])  # type: ignore[misc]
        made.append(Figure(("macro_f1", "micro_f1")[place], float(values.mean()), low, high, nodes))
    return made[0], made[1]


def drawn_f1(scores: Classified, drawn: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Macro and micro F1 of drawn nodes (r, n), means over the splits, (r,) each.

    A label that no drawn node has, in truth or by decision, keeps the F1 that it has over all nodes
    of the split: labels of few nodes would otherwise move the mean by being left out.
    """
    nodes = len(scores.truth)
    rows = np.arange(len(drawn))[:, None] * nodes
    counts = np.bincount((drawn + rows).ravel(), minlength=drawn.size).reshape(drawn.shape)
    macro, micro = np.zeros(len(drawn)), np.zeros(len(drawn))
    for test, decided in zip(scores.tested, scores.decided, strict=True):
        truth, weights = scores.truth[test], counts[:, test].astype(np.float32)
        hits = (truth & decided).astype(np.float32)
        sizes = truth.astype(np.float32) + decided
        right, both = weights @ hits, weights @ sizes
        whole = 2 * hits.sum(axis=0) / np.maximum(sizes.sum(axis=0), 1)
        macro += np.where(both > 0, 2 * right / np.maximum(both, 1), whole).mean(axis=1)
        micro += 2 * right.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return macro / len(scores.tested), micro / len(scores.tested)
