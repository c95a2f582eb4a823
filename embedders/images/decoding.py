"""Encoded images to upright RGB pictures, with limits checked before anything is decoded."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError
from embedders.images.colours import to_rgb
from embedders.images.limits import DEFAULT_LIMITS, ImageLimits
from embedders.images.metadata import without_metadata
from embedders.images.quiet import silence_decoders

# imported here and so registered: Pillow would otherwise import them in the first thread
PLUGINS = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    BmpImagePlugin,
    TiffImagePlugin,
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
ORIENTATION_TAG = 0x0112
#: EXIF orientation -> what makes the picture upright (EXIF 2.32, 4.6.4 A)
UPRIGHT: Mapping[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS, at_least: int | None = None
) -> Image.Image:
    """An upright RGB picture of a JPEG, PNG, WebP, GIF (first frame), BMP or TIFF.

    Transparent parts are laid over white. Safe in many threads at once; Pillow gives the
    interpreter's lock back while it decodes.

    Args:
        at_least: a JPEG may be decoded at a half, quarter or eighth of its size, while both
            sides keep this many pixels: several times as fast, and not the same pixels.

    Raises:
        ItemTooLargeError: over a limit; nothing was decoded.
        InvalidItemError: not of these formats, truncated or damaged.
    """
    limits.check_bytes(len(data))
    silence_decoders()
    try:
        with _open(without_metadata(data)) as image:
            limits.check_size(*image.size)
            if at_least is not None and image.format == "JPEG":
                image.draft(None, (at_least, at_least))
            image.load()
            return _turn(to_rgb(image), _orientation(image))
    except ItemError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ItemTooLargeError(f"the image is too large to decode: {error}") from None
    # hostile files make the parsers raise nearly anything: SyntaxError, struct.error, KeyError ...
    except Exception as error:  # noqa: BLE001
        raise InvalidItemError(f"the image is damaged: {_reason(error)}") from None


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        names = ", ".join(FORMATS)
        raise InvalidItemError(f"not a readable image; one of: {names}") from None


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(ORIENTATION_TAG)
    # damaged EXIF is no reason to refuse a sound picture, whatever its parser raises
    except Exception:  # noqa: BLE001
        return None


def _turn(image: Image.Image, orientation: object) -> Image.Image:
    turn = UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
