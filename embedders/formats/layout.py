"""Our own layout: one safetensors file a vocabulary.

Tensors: `vectors` (n, dim) float32, float16 or int8; `scales` (n,) float32 beside int8 (row =
int8 * scale); `keys` uint8, the UTF-8 keys joined by line feeds, the most frequent first;
`counts` (n,) integers, optional. Metadata: format "latentspace-vocabulary", version "1",
family, params (JSON: how it was made), and whatever else the maker tells.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from embedders.damage import naming
from embedders.errors import ModelFormatError
from embedders.formats.opening import open_write
from embedders.formats.rows import RowCheck, sound_rows
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

FORMAT = "latentspace-vocabulary"
VERSION = "1"


class StorageDtype(StrEnum):
    """Number format of stored rows. int8 keeps a cosine of about 0.9999 to the float32 row."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def read_safetensors(path: Path, limit: int = 0, check: RowCheck | None = None) -> Vocabulary:
    """A vocabulary of our own layout.

    Args:
        limit: read only so many rows (0: all).
        check: what becomes of bad rows; None refuses them.

    Raises:
        ModelFormatError: another or damaged layout; says what is wrong.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
            _check_metadata(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise ModelFormatError(f"{path}: damaged safetensors file: {error}") from error
    with naming(path, ModelFormatError, "a vocabulary"):
        return _assemble(tensors, metadata, limit, check or RowCheck(path))


def save_safetensors(
    path: Path,
    vocabulary: Vocabulary,
    family: str,
    params: Mapping[str, Any] | None = None,
    dtype: StorageDtype = StorageDtype.FLOAT32,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes our own layout; int8 and float16 lose precision, so the revision changes.

    Raises:
        ModelFormatError: a number beyond float16.
    """
    tensors: dict[str, NDArray[Any]] = dict(_pack(vocabulary.vectors, dtype))
    tensors["keys"] = np.frombuffer("\n".join(vocabulary.keys).encode(), np.uint8)
    if vocabulary.counts is not None:
        tensors["counts"] = vocabulary.counts.astype(np.int64)
    told = {
        **(metadata or {}),
        "format": FORMAT,
        "version": VERSION,
        "family": family,
        "params": json.dumps(dict(params or {}), sort_keys=True),
    }
    content = save(tensors)
    header, start = _header(content, told)
    with open_write(path) as file:
        file.write(header)
        file.write(memoryview(content)[start:])


def quantize_rows(rows: FloatRows) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 (n, d) and scales (n,): the largest number of each row becomes 127 in size."""
    largest = np.abs(rows).max(axis=1)
    scales = np.asarray(np.where(largest > 0, largest, 1) / 127, dtype=np.float32)
    return np.rint(rows / scales[:, None]).astype(np.int8), scales


def _header(content: bytes, metadata: Mapping[str, str]) -> tuple[bytes, int]:
    """The header with sorted metadata, and where the rows begin in `content`.

    safetensors itself writes metadata in an order that differs from call to call.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    fields = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8:start])}
    header = json.dumps(fields, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header, start


def _pack(rows: FloatRows, dtype: StorageDtype) -> dict[str, NDArray[Any]]:
    if dtype is StorageDtype.INT8:
        whole, scales = quantize_rows(rows)
        return {"vectors": whole, "scales": scales}
    if dtype is StorageDtype.FLOAT16:
        if np.abs(rows).max() > np.finfo(np.float16).max:
            raise ModelFormatError("a number is too large for float16; store float32 or int8")
        return {"vectors": rows.astype(np.float16)}
    return {"vectors": rows}


def _check_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ModelFormatError(
            f"{path}: not a vocabulary: metadata 'format' is {metadata.get('format')!r}, "
            f"not {FORMAT!r}"
        )
    if metadata.get("version") != VERSION:
        raise ModelFormatError(
            f"{path}: layout version {metadata.get('version')!r}; this release reads {VERSION!r}"
        )


def _assemble(
    tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str], limit: int, check: RowCheck
) -> Vocabulary:
    missing = {"keys", "vectors"} - set(tensors)
    if missing:
        raise ModelFormatError(f"{check.path}: tensor {sorted(missing)[0]!r} is missing")
    keys, stop = _keys(tensors["keys"]), limit or None
    counts = tensors.get("counts")
    try:
        rows = _unpack(tensors, len(keys))
        if counts is not None and counts.shape != (len(keys),):
            raise ModelFormatError(f"{len(keys)} keys, but {counts.shape} counts")
        whole = None if counts is None else counts.astype(np.int64)[:stop]
        rows, keys = rows[:stop], keys[:stop]
        kept = sound_rows(keys, rows, check)
        return Vocabulary.of_sound(keys, rows, kept, whole, metadata, notes=check.notes())
    except ModelFormatError as error:
        if str(error).startswith(str(check.path)):
            raise
        raise ModelFormatError(f"{check.path}: {error}") from None


def _keys(tensor: NDArray[Any]) -> list[str | None]:
    content = tensor.tobytes()
    try:
        return list[str | None](content.decode("utf-8").split("\n"))
    except UnicodeDecodeError:
        return [_decoded(key) for key in content.split(b"\n")]


def _decoded(key: bytes) -> str | None:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unpack(tensors: Mapping[str, NDArray[Any]], count: int) -> FloatRows:
    vectors = tensors["vectors"]
    if vectors.ndim != 2 or len(vectors) != count:
        raise ModelFormatError(f"{count} keys, but vectors {vectors.shape}")
    if vectors.dtype == np.int8:
        scales = tensors.get("scales")
        if scales is None or scales.shape != (count,):
            raise ModelFormatError(f"int8 vectors need 'scales' of shape ({count},)")
        return np.asarray(vectors * scales[:, None], dtype=np.float32)
    if vectors.dtype not in (np.float32, np.float16):
        raise ModelFormatError(f"vectors are {vectors.dtype}, not float32, float16 or int8")
    return np.asarray(vectors, dtype=np.float32)
