"""Arithmetic on rows of vectors that every package shares."""

import numpy as np
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]
IndexArray = NDArray[np.intp]


def normalize_rows(rows: FloatRows) -> FloatRows:
    """Rows of unit length, float32 (n, d); zero rows stay zero."""
    norms = row_norms(rows)[:, None]
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)


def row_norms(rows: FloatRows) -> NDArray[np.float32]:
    """Euclidean lengths, float32 (n,)."""
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows, dtype=np.float32)
    return np.sqrt(squares)


def top_k(scores: NDArray[np.float32], k: int) -> IndexArray:
    """Positions of the k largest of each row, descending, ties by position; intp (q, min(k, n))."""
    k = min(k, scores.shape[1])
    if k < scores.shape[1]:
        part = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        part = np.broadcast_to(np.arange(k), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)
