"""Images to the bytes of an image file, without an image library."""

import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import InvalidArgumentError
from latentspace.pillow import PillowImage, png_of_pillow
from latentspace.pixels import png_of_pixels


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


def image_bytes(source: ImageSource) -> bytes:
    """The bytes of an encoded image.

    Args:
        source: bytes of an image file, the path of one, where it lies in another file, a Pillow
            image (sent as PNG with its EXIF orientation), or upright pixels (height, width) or
            (height, width, 1 to 4) of uint8, uint16, bool, or floats in [0, 1].

    Raises:
        OSError: the file cannot be read.
        InvalidArgumentError: nothing of these.
    """
    match source:
        case bytes():
            return source
        case bytearray() | memoryview():
            return bytes(source)
        case str() if "://" in source:
            raise InvalidArgumentError(
                f"image: {source!r:.80} is an address, and nothing is fetched; pass the bytes, or "
                "the path of a file"
            )
        case str() | PathLike():
            return Path(source).read_bytes()
        case FilePart():
            return source.read()
        case np.ndarray():
            return png_of_pixels(source)
        case Savable():
            # PNG loses nothing; JPEG would change the vector.
            if hasattr(source, "getexif"):
                return png_of_pillow(cast(PillowImage, source))
            buffer = io.BytesIO()
            source.save(buffer, "PNG")
            return buffer.getvalue()
    raise InvalidArgumentError(
        f"image: expected bytes, a path, a Pillow image or pixels, got {type(source).__name__}"
    )
