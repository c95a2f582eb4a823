"""numpy arrays to packed rows and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentspace.errors import InvalidArgumentError
from latentspace.v1 import types_pb2

Rows = NDArray[np.float32]
VectorLike = ArrayLike
VectorsLike = ArrayLike | Sequence[ArrayLike]

_BFLOAT16 = "bfloat16"
# compared first, since the name of a dtype is made anew each time it is asked for
_FLOAT32 = np.dtype("<f4")


def as_rows(vectors: VectorsLike, name: str = "vectors") -> NDArray[Any]:
    """Little-endian contiguous rows (n, dim): float16 and bfloat16 as they are, else float32.

    Raises:
        InvalidArgumentError: not numbers, ragged, or not two-dimensional.
    """
    try:
        rows = np.asarray(vectors)
        if rows.dtype != _FLOAT32 and rows.dtype.name not in ("float16", _BFLOAT16):
            rows = rows.astype("<f4", copy=False)
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(f"{name}: not an array of numbers ({error})") from error
    if rows.ndim != 2:
        raise InvalidArgumentError(
            f"{name}: expected an array (n, dim), got shape {rows.shape}; "
            "for one vector pass row[None, :]"
        )
    return _little_endian(np.ascontiguousarray(rows))


def as_row(vector: VectorLike, name: str = "vector") -> NDArray[Any]:
    """One vector (dim,) as rows (1, dim)."""
    row = np.asarray(vector)
    if row.ndim != 1:
        raise InvalidArgumentError(f"{name}: expected an array (dim,), got shape {row.shape}")
    return as_rows(row[None, :], name)


def pack(rows: NDArray[Any], space_id: str = "") -> types_pb2.VectorBatch:
    """Rows made by `as_rows` as a message."""
    return types_pb2.VectorBatch(
        data=rows.tobytes(),
        dtype=_wire_dtype(rows.dtype),
        dim=rows.shape[1],
        count=rows.shape[0],
        space_id=space_id,
    )


def unpack(batch: types_pb2.VectorBatch) -> Rows:
    """The rows of a message, float32 (count, dim), writable."""
    shape = (batch.count, batch.dim)
    if batch.dtype == types_pb2.DTYPE_BFLOAT16:
        # numpy has no bfloat16; its bits are the upper half of a float32
        wide = np.frombuffer(batch.data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    # astype copies: what frombuffer gives cannot be written to
    dtype = "<f2" if batch.dtype == types_pb2.DTYPE_FLOAT16 else "<f4"
    return np.frombuffer(batch.data, dtype).reshape(shape).astype(np.float32)


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
