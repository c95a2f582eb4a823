"""Images to the bytes of an image file, without an image library."""

import io
import struct
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import InvalidArgumentError


@runtime_checkable
class Savable(Protocol):
    """An image that can write itself, as those of Pillow do."""

    def save(self, fp: IO[bytes], format: str | None = None) -> None:
        """Writes itself as a file of this format."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """An image file that lies within another file, as in a tar; read when it is needed.

    Args:
        offset, size: in bytes.
    """

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: the file cannot be read, or ends before.
        """
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise OSError(f"{self.path} is cut off at byte {self.offset + len(data)}")
        return data


ImageSource = (
    bytes | bytearray | memoryview | str | PathLike[str] | NDArray[Any] | FilePart | Savable
)

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels to PNG colour type


def image_bytes(source: ImageSource) -> bytes:
    """The bytes of an encoded image.

    Args:
        source: bytes of an image file, the path of one, where it lies in another file, a Pillow
            image (sent as PNG), or pixels as uint8 (height, width) or (height, width, 1 to 4).

    Raises:
        OSError: the file cannot be read.
        InvalidArgumentError: nothing of these.
    """
    match source:
        case bytes():
            return source
        case bytearray() | memoryview():
            return bytes(source)
        case str() | PathLike():
            return Path(source).read_bytes()
        case FilePart():
            return source.read()
        case np.ndarray():
            return _png(source)
        case Savable():
            # PNG loses nothing; JPEG would change the vector.
            buffer = io.BytesIO()
            source.save(buffer, "PNG")
            return buffer.getvalue()
    raise InvalidArgumentError(
        f"image: expected bytes, a path, a Pillow image or pixels, got {type(source).__name__}"
    )


def _png(pixels: NDArray[Any]) -> bytes:
    """A PNG file (RFC 2083) of unfiltered rows, lightly compressed."""
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or not pixels.size:
        raise InvalidArgumentError(
            f"image: pixels must be uint8 (height, width[, 1 to 4]), got {pixels.dtype} "
            f"{pixels.shape}"
        )
    height, width, channels = pixels.shape
    if channels not in _COLOUR_TYPE:
        raise InvalidArgumentError(f"image: pixels have {channels} channels, expected 1 to 4")
    # Each row begins with its filter type; 0 is none, which needs no arithmetic.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 1)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
