"""Scores of vectors against vectors, as searches report them."""

import numpy as np

from embedders.vectors import FloatRows, normalize_rows
from index.types import Metric


def score_matrix(queries: FloatRows, rows: FloatRows, metric: Metric) -> FloatRows:
    """The score of each row for each query, float32 (q, n); cosine scales both to unit length.

    l2 is computed from differences: products would lose digits where vectors are close.
    """
    if metric is Metric.L2:
        found = np.empty((len(queries), len(rows)), np.float32)
        for query, scores in zip(queries, found, strict=True):
            differences = rows - query
            np.einsum("ij,ij->i", differences, differences, out=scores)
        return np.negative(found, out=found)
    if metric.normalizes:
        queries, rows = normalize_rows(queries), normalize_rows(rows)
    products: FloatRows = queries @ rows.T
    return products
