"""Pillow's images as PNG files that a server decodes to the pixels of the files they came from.

What a server does to every mode is left to it where PNG has that mode. Nothing here imports Pillow.
"""

import io
import struct
from typing import IO, Any, Protocol

from latentspace.errors import InvalidArgumentError

ORIENTATION_TAG = 0x0112
# PNG has these; palettes and transparent colours go along
_AS_THEY_ARE = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
# mode to another of the same picture that PNG has
_CONVERTED = {
    **dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB"),
    **dict.fromkeys(("RGBa", "PA"), "RGBA"),
    "La": "LA",
}
_SIXTEEN_BITS = frozenset({"I;16B", "I;16L", "I;16N"})


class PillowImage(Protocol):
    """What is needed of a `PIL.Image.Image`."""

    @property
    def mode(self) -> str: ...  # noqa: D102
    def load(self) -> object: ...  # noqa: D102
    def getexif(self) -> Any: ...  # noqa: D102
    def convert(self, mode: str) -> Any: ...  # noqa: D102
    def save(self, fp: IO[bytes], format: str | None = None, **params: Any) -> None: ...  # noqa: D102


def png_of_pillow(image: PillowImage) -> bytes:
    """A PNG file that loses nothing of the picture; its EXIF orientation goes along.

    Raises:
        InvalidArgumentError: its pixels have no agreed range of values or colours, or its file
            cannot be read.
    """
    buffer = io.BytesIO()
    try:
        image.load()  # a file that is damaged says so here; TIFF is turned upright
        _converted(image).save(buffer, "PNG", exif=_exif(image), compress_level=1)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidArgumentError(f"image: Pillow cannot read or convert it ({error})") from error
    return buffer.getvalue()


def _converted(image: PillowImage) -> Any:
    mode = image.mode
    if mode in _AS_THEY_ARE:
        return image
    if mode in _SIXTEEN_BITS:
        return image.convert("I").convert("I;16")
    if mode not in _CONVERTED:
        cure = "convert it with a range of your choice" if mode in ("I", "F") else "convert it"
        raise InvalidArgumentError(
            f"image: Pillow's mode {mode!r} has no agreed values in RGB; {cure}, as to 'L' or 'RGB'"
        )
    return image.convert(_CONVERTED[mode])


def _exif(image: PillowImage) -> bytes:
    """EXIF of nothing but the orientation (EXIF 2.32, 4.6.4 A); b"" where it is upright."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    # damaged EXIF is no reason to refuse a sound picture, whatever its parser raises
    except Exception:  # noqa: BLE001
        return b""
    if orientation not in range(2, 9):
        return b""
    directory = struct.pack(">HHHIHHI", 1, ORIENTATION_TAG, 3, 1, orientation, 0, 0)
    return b"Exif\0\0MM\0*\0\0\0\x08" + directory
