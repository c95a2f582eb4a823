"""Node classification: do vectors tell the labels of nodes? See `node_classification`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from embedders.errors import OptionError
from embedders.evaluation.base import Outcome, Subject
from embedders.evaluation.bootstrap import mean_figure
from embedders.evaluation.labels import read_labels
from embedders.evaluation.node_classification import classify_nodes
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
    """Macro and micro F1, means over the splits; `items` are splits, of which the intervals tell.

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
    figures = (
        mean_figure("macro_f1", scores.macro_f1),
        mean_figure("micro_f1", scores.micro_f1),
    )
    return Outcome(figures, float(known.mean()))
