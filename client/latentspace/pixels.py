"""Pixels in numpy arrays as PNG files, without an image library."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import InvalidArgumentError

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels to PNG colour type


def png_of_pixels(array: NDArray[Any]) -> bytes:
    """A PNG file (RFC 2083) of unfiltered rows, lightly compressed.

    Args:
        array: (height, width) or (height, width, channels): grey, grey and alpha, RGB or RGBA,
            upright. uint8; uint16, of which the upper 8 bits count; floats in [0, 1]; or bool.

    Raises:
        InvalidArgumentError: another shape or dtype, or floats beyond [0, 1].
    """
    pixels = _eight_bits(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] not in _COLOUR_TYPE:
        raise InvalidArgumentError(
            f"image: pixels must be (height, width) or (height, width, 1 to 4), got {array.shape}"
            f"{_shape_cure(array)}"
        )
    height, width, channels = pixels.shape
    # Each row begins with its filter type; 0 is none, which needs no arithmetic.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 1)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _eight_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    if np.ma.isMaskedArray(array) and np.ma.getmaskarray(array).any():
        raise InvalidArgumentError("image: some pixels are masked; fill them, as with .filled(0)")
    pixels = np.asarray(array)
    match pixels.dtype.kind, pixels.dtype.itemsize:
        case "u", 1:
            return pixels
        case "u", 2:
            return (pixels >> 8).astype(np.uint8)
        case "b", _:
            return pixels.astype(np.uint8) * np.uint8(255)
        case "f", _:
            if not ((pixels >= 0) & (pixels <= 1)).all():
                raise InvalidArgumentError(
                    "image: pixels that are floats must lie in [0, 1]; divide by 255, or pass uint8"
                )
            return np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)
    raise InvalidArgumentError(
        f"image: pixels must be uint8, uint16, bool or floats in [0, 1], got {pixels.dtype}"
    )


def _shape_cure(array: NDArray[Any]) -> str:
    if array.ndim == 3 and array.shape[0] in _COLOUR_TYPE and array.shape[2] not in _COLOUR_TYPE:
        return "; channels come last: array.transpose(1, 2, 0)"
    return "; pass images one by one in a list" if array.ndim == 4 else ""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
