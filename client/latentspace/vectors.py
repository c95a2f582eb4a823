"""numpy arrays to packed rows and back."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentspace.errors import InvalidArgumentError, LatentspaceError
from latentspace.numbers import numbers_of
from latentspace.spaces import Embeddings, SpaceOnly, common_space
from latentspace.v1 import types_pb2


class HasRows(Protocol):
    """An `EmbeddingBatch`."""

    @property
    def rows(self) -> Embeddings: ...  # noqa: D102
    @property
    def space_id(self) -> str: ...  # noqa: D102


VectorLike = ArrayLike
VectorsLike = ArrayLike | Sequence[ArrayLike] | HasRows

_BFLOAT16 = "bfloat16"
# compared first, since the name of a dtype is made anew each time it is asked for
_FLOAT32 = np.dtype("<f4")


def as_rows(vectors: VectorsLike, name: str = "vectors", space_id: str = "") -> Embeddings:
    """Little-endian contiguous rows (n, dim): float16 and bfloat16 as they are, else float32.

    Args:
        vectors: an array, a list or column of vectors, or an `EmbeddingBatch`.
        space_id: their space, where it is said; else the one that they know.

    Raises:
        InvalidArgumentError: not numbers, ragged, or not two-dimensional; names the first row.
        FailedPreconditionError: they are of another space, or of two.
    """
    rows, errors = checked_rows(vectors, name, space_id)
    for error in errors.values():
        raise error
    return rows


def checked_rows(
    vectors: VectorsLike, name: str = "vectors", space_id: str = ""
) -> tuple[Embeddings, dict[int, LatentspaceError]]:
    """The same, where rows that cannot be used are zero and have an error by position.

    Raises:
        InvalidArgumentError: not an array (n, dim) of numbers.
        FailedPreconditionError: they are of another space, or of two.
    """
    space = common_space([vectors, SpaceOnly(space_id)])
    values = getattr(vectors, "rows", vectors) if hasattr(vectors, "space_id") else vectors
    rows, errors = numbers_of(values, name)
    if rows.ndim != 2:
        raise InvalidArgumentError(
            f"{name}: expected an array (n, dim), got shape {rows.shape}; "
            "for one vector pass row[None, :]"
        )
    return Embeddings(_little_endian(np.ascontiguousarray(rows)), space), errors


def as_row(vector: VectorLike, name: str = "vector", space_id: str = "") -> Embeddings:
    """One vector (dim,) as rows (1, dim)."""
    space = common_space([vector, SpaceOnly(space_id)])
    try:
        # the usual arrays as they are; all else so that a mask is kept, which is refused below
        usual = type(vector) in (np.ndarray, Embeddings)
        row: NDArray[Any] = (
            np.asanyarray(vector) if usual else np.ma.asanyarray(getattr(vector, "rows", vector))
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidArgumentError(f"{name}: not an array of numbers ({error!s:.80})") from error
    if row.ndim != 1:
        raise InvalidArgumentError(f"{name}: expected an array (dim,), got shape {row.shape}")
    return as_rows(row[None, :], name, space)


def pack(rows: NDArray[Any], space_id: str = "") -> types_pb2.VectorBatch:
    """Rows made by `as_rows` as a message, in the space that is said or that they know."""
    return types_pb2.VectorBatch(
        data=rows.tobytes(),
        dtype=_wire_dtype(rows.dtype),
        dim=rows.shape[1],
        count=rows.shape[0],
        space_id=space_id or common_space([rows]),
    )


def unpack(batch: types_pb2.VectorBatch) -> Embeddings:
    """The rows of a message, float32 (count, dim), writable."""
    shape = (batch.count, batch.dim)
    if batch.dtype == types_pb2.DTYPE_BFLOAT16:
        # numpy has no bfloat16; its bits are the upper half of a float32
        wide = np.frombuffer(batch.data, "<u2").astype(np.uint32) << 16
        return Embeddings(wide.view(np.float32).reshape(shape), batch.space_id)
    # astype copies: what frombuffer gives cannot be written to
    dtype = "<f2" if batch.dtype == types_pb2.DTYPE_FLOAT16 else "<f4"
    rows = np.frombuffer(batch.data, dtype).reshape(shape).astype(np.float32)
    return Embeddings(rows, batch.space_id)


def floats(data: bytes) -> NDArray[np.float32]:
    """Packed float32 numbers (n,), writable."""
    return np.frombuffer(data, "<f4").astype(np.float32)


def _wire_dtype(dtype: np.dtype[Any]) -> types_pb2.Dtype.ValueType:
    if dtype == _FLOAT32:
        return types_pb2.DTYPE_FLOAT32
    names = {"float16": types_pb2.DTYPE_FLOAT16, _BFLOAT16: types_pb2.DTYPE_BFLOAT16}
    return names.get(dtype.name, types_pb2.DTYPE_FLOAT32)


def _little_endian(rows: NDArray[Any]) -> NDArray[Any]:
    if rows.dtype == _FLOAT32:
        return rows
    if rows.dtype.name == _BFLOAT16:
        return rows.view("<u2").astype("<u2").view(rows.dtype)
    return rows.astype(rows.dtype.newbyteorder("<"), copy=False)
