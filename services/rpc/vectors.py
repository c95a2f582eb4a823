"""VectorBatch to numpy and back."""

import sys

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from latentspace.v1.types_pb2 import (
    DTYPE_BFLOAT16,
    DTYPE_FLOAT16,
    DTYPE_FLOAT32,
    DTYPE_UNSPECIFIED,
    Dtype,
    VectorBatch,
)
from services.runtime.errors import RequestError
from services.runtime.inputs import VectorRows

MAX_DIM = 65_536
WIDTHS = {DTYPE_UNSPECIFIED: 4, DTYPE_FLOAT32: 4, DTYPE_FLOAT16: 2, DTYPE_BFLOAT16: 2}


def unpack(batch: VectorBatch, field: str) -> VectorRows:
    """Rows float32 (count, dim) of a batch; a view of its bytes where they are float32.

    Raises:
        RequestError: the parts do not fit each other.
    """
    if batch.dtype not in WIDTHS:
        raise RequestError(f"{field}.dtype", f"dtype {batch.dtype} is unknown")
    if not 1 <= batch.dim <= MAX_DIM:
        raise RequestError(f"{field}.dim", f"dim must be 1 to {MAX_DIM}, not {batch.dim}")
    wanted = batch.count * batch.dim * WIDTHS[batch.dtype]
    if len(batch.data) != wanted:
        raise RequestError(
            f"{field}.data",
            f"{len(batch.data)} bytes given; {batch.count} rows of {batch.dim} numbers take"
            f" {wanted}",
        )
    flat = decode(batch.data, batch.dtype)
    return VectorRows(flat.reshape(batch.count, batch.dim), batch.space_id)


def decode(data: bytes, dtype: Dtype.ValueType) -> FloatRows:
    """Packed numbers to float32 (n,)."""
    if dtype == DTYPE_FLOAT16:
        return np.frombuffer(data, "<f2").astype(np.float32)
    if dtype == DTYPE_BFLOAT16:
        # A bfloat16 is the upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def pack(rows: FloatRows, space_id: str) -> VectorBatch:
    """Rows float32 (n, dim) as a batch."""
    count, dim = rows.shape
    return VectorBatch(
        data=packed_floats(rows), dtype=DTYPE_FLOAT32, dim=dim, count=count, space_id=space_id
    )


def packed_floats(values: NDArray[np.float32]) -> bytes:
    """float32 numbers, little-endian."""
    if sys.byteorder == "big":
        values = values.astype("<f4")
    return np.ascontiguousarray(values, np.float32).tobytes()
