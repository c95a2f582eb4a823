"""Matrices of MATLAB files: those of version 5 to 7.2 here, version 4 with scipy.

scipy's reader of version 5 leads the process into a segmentation fault on some damaged files, and
a server must outlive those. Layout: a head of 128 bytes, then elements, each a tag (type, bytes)
and its content padded to 8 bytes; a matrix is an element made of elements ("MAT-File Format",
The MathWorks). Only matrices of real numbers are decoded, full and sparse.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import MissingExtraError, ModelFormatError

HEAD_BYTES = 128
MATRIX, COMPRESSED = 14, 15
#: element type -> number format, without its byte order
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8",
           12: "i8", 13: "u8"}  # fmt: skip
SPARSE_CLASS = 5
FULL_CLASSES = range(6, 16)
COMPLEX_FLAG = 0x0800
HDF5_MAJOR = 2


def read_matrix(path: Path, name: str) -> Any:
    """A matrix of a file: an array, or scipy's `csc_matrix`, its indices checked.

    Raises:
        KeyError: there is no such variable; its argument is a list of those there are.
        ValueError, zlib.error, and others: damaged, or not such a file.
        ModelFormatError: of MATLAB 7.3.
        MissingExtraError: scipy is not installed.
    """
    content = path.read_bytes()
    # a text begins files of version 5, a small number those of version 4
    if 0 in content[:4]:
        return _version_4(path, name)
    if len(content) < HEAD_BYTES:
        raise ValueError("it ends within its head")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it has no head of a MATLAB file")
    if content[125 if order == "<" else 124] == HDF5_MAJOR:
        raise ModelFormatError(f"{path}: MATLAB 7.3 (HDF5) is not read: save with '-v7'")
    return _version_5(memoryview(content)[HEAD_BYTES:], order, name)


def _version_4(path: Path, name: str) -> Any:
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise MissingExtraError("a .mat file of version 4", "scipy", "graphs") from error
    variables = loadmat(path)
    if name not in variables:
        raise KeyError(sorted(key for key in variables if not key.startswith("__")))
    return variables[name]


def _version_5(content: memoryview, order: str, name: str) -> Any:
    names = []
    for kind, data in _elements(content, order):
        if kind == COMPRESSED:
            packed = bytes(data)
            [(kind, data)] = _elements(memoryview(zlib.decompress(packed)), order)
        if kind != MATRIX:
            continue
        matrix = _Matrix.read(data, order)
        if matrix.name == name:
            return matrix.values(order)
        names.append(matrix.name)
    raise KeyError(sorted(filter(None, names)))


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Types and contents of the elements that stand one after another."""
    position = 0
    while position + 8 <= len(content):
        kind, size = np.frombuffer(content, order + "u4", 2, position).tolist()
        start, packed = position + 8, False
        if kind >> 16:
            # up to four bytes stand within the tag itself
            kind, size, start, packed = kind & 0xFFFF, kind >> 16, position + 4, True
        if start + size > len(content) or (packed and size > 4):
            raise ValueError(f"byte {position}: an element of {size} bytes goes beyond the end")
        yield kind, content[start : start + size]
        # compressed elements are not padded
        padding = 0 if kind == COMPRESSED else -size % 8
        position = position + 8 if packed else start + size + padding


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A variable before its numbers are decoded."""

    name: str
    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    parts: list[tuple[int, memoryview]]

    @classmethod
    def read(cls, content: memoryview, order: str) -> "_Matrix":
        flags, dimensions, name, *parts = _elements(content, order)
        flag = int(_numbers(flags, order)[0])
        shape = tuple(int(side) for side in _numbers(dimensions, order))
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"a matrix of shape {shape}")
        text = bytes(name[1]).decode("latin-1")
        return cls(text, flag & 0xFF, bool(flag & COMPLEX_FLAG), shape, parts)

    def values(self, order: str) -> Any:
        if self.is_complex or not (self.kind == SPARSE_CLASS or self.kind in FULL_CLASSES):
            raise ValueError(f"{self.name} is not a matrix of real numbers")
        if self.kind == SPARSE_CLASS:
            return self._sparse(order)
        flat = _numbers(self.parts[0], order)
        return flat.reshape(self.shape, order="F")

    def _sparse(self, order: str) -> Any:
        from scipy.sparse import csc_matrix

        rows, starts, values = (_numbers(part, order) for part in self.parts[:3])
        if starts.shape != (self.shape[1] + 1,) or starts[0] != 0 or (np.diff(starts) < 0).any():
            raise ValueError(f"{self.name}: the columns do not begin in order")
        count = int(starts[-1])
        rows, values = rows[:count], values[:count]
        if len(rows) < count or len(values) < count:
            raise ValueError(f"{self.name}: {count} numbers announced, {len(values)} there")
        if count and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise ValueError(f"{self.name}: a row beyond the {self.shape[0]} that there are")
        return csc_matrix((values, rows, starts), shape=self.shape[:2])


def _numbers(element: tuple[int, memoryview], order: str) -> NDArray[Any]:
    kind, content = element
    if kind not in NUMBERS:
        raise ValueError(f"numbers of the unknown type {kind}")
    stored = np.frombuffer(content, order + NUMBERS[kind])
    return stored.astype(stored.dtype.newbyteorder("="))
