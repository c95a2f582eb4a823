"""What is true, computed apart from the service: a brute force in float64."""

import numpy as np

from embedders.vectors import FloatRows, IndexArray
from index.types import Metric

# numbers of a block of rows in float64: 32 MB
_NUMBERS = 1 << 22


def true_neighbours(
    rows: FloatRows,
    queries: FloatRows,
    k: int,
    metric: Metric = Metric.COSINE,
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None,
) -> IndexArray:
    """Positions of the k best rows for each query, best first, intp (q, k); -1 where missing.

    Under cosine rows and queries have unit length already; l2 is taken from differences.
    """
    count, asked = len(queries), queries.astype(np.float64)
    scores, positions = np.full((count, k), -np.inf), np.full((count, k), -1, dtype=np.intp)
    chosen = np.arange(len(rows)) if mask is None else np.flatnonzero(mask)
    step = max(1, _NUMBERS // rows.shape[1])
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        wide = rows[part].astype(np.float64)
        if metric is Metric.L2:
            own = np.stack([-((wide - query) ** 2).sum(axis=1) for query in asked])
        else:
            own = asked @ wide.T
        scores = np.concatenate([scores, own], axis=1)
        positions = np.concatenate([positions, np.broadcast_to(part, own.shape)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, order, axis=1)
        positions = np.take_along_axis(positions, order, axis=1)
    return positions
