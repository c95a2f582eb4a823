"""Scores of vectors against vectors, as searches report them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows
from index.types import Metric

_LARGEST = float(np.finfo(np.float32).max)


def reported(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scores in float32; what is too large for it becomes its largest number, not infinite."""
    rounded: NDArray[np.float32] = np.clip(scores, -_LARGEST, _LARGEST).astype(np.float32)
    return rounded


def score_matrix(queries: FloatRows, rows: FloatRows, metric: Metric) -> FloatRows:
    """The score of each row for each query, float32 (q, n); cosine scales both to unit length.

    Computed in float64, and l2 from differences: float32 products lose digits where vectors are
    close, and overflow where they are long.
    """
    if metric.normalizes:
        queries, rows = normalize_rows(queries), normalize_rows(rows)
    wide, others = queries.astype(np.float64), rows.astype(np.float64)
    if metric is not Metric.L2:
        return reported(wide @ others.T)
    scores = np.empty((len(wide), len(others)))
    for query, line in zip(wide, scores, strict=True):
        differences = others - query
        np.negative(np.vecdot(differences, differences), out=line)
    return reported(scores)
