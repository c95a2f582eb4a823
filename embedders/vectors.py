"""Arithmetic on rows of vectors that every package shares."""

import numpy as np
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]
IndexArray = NDArray[np.intp]

# sums of squares between these lose nothing to float32's ends at 2^-126 and 2^128
_LEAST_SQUARE, _MOST_SQUARE = 2.0**-80, 2.0**126


def normalize_rows(rows: FloatRows) -> FloatRows:
    """Rows of unit length, float32 (n, d), for all finite rows; zero rows stay zero."""
    return unit_rows(rows)[0]


def unit_rows(rows: FloatRows) -> tuple[FloatRows, NDArray[np.float64]]:
    """Rows as `normalize_rows` and their lengths as `row_norms`, measured once."""
    squares = _squares(rows)
    norms = np.sqrt(squares, dtype=np.float64)
    roots = norms.astype(np.float32)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.asarray(rows / np.where(roots > 0, roots, 1), dtype=np.float32)
        if len(unsafe := _unsafe(squares)):
            wide = rows[unsafe].astype(np.float64)
            norms[unsafe] = lengths = np.sqrt(np.vecdot(wide, wide))
            unit[unsafe] = wide / np.where(lengths > 0, lengths, 1)[:, None]
    return unit, norms


def row_norms(rows: FloatRows) -> NDArray[np.float64]:
    """Euclidean lengths, float64 (n,): those of all finite float32 rows are finite, and 0 for
    zero rows alone. Squares are summed in float32 where they neither overflow nor vanish."""
    squares = _squares(rows)
    norms = np.sqrt(squares, dtype=np.float64)
    if len(unsafe := _unsafe(squares)):
        wide = rows[unsafe].astype(np.float64)
        norms[unsafe] = np.sqrt(np.vecdot(wide, wide))
    return norms


def _squares(rows: FloatRows) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        squares: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows, dtype=np.float32)
    return squares


def _unsafe(squares: NDArray[np.float32]) -> IndexArray:
    """Rows whose squares float32 cannot sum."""
    return np.flatnonzero(~((squares > _LEAST_SQUARE) & (squares < _MOST_SQUARE)))


def top_k(scores: NDArray[np.float32], k: int) -> IndexArray:
    """Positions of the k largest of each row, descending, ties by position; intp (q, min(k, n))."""
    k = min(k, scores.shape[1])
    if k < scores.shape[1]:
        part = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        part = np.broadcast_to(np.arange(k), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)
