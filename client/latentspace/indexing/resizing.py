"""Images made smaller before they are sent."""

import io

from latentspace.errors import InvalidArgumentError

JPEG_QUALITY = 95


def smaller(data: bytes, side: int) -> bytes:
    """An image whose longest side is at most `side` pixels; one that is so already stays as it is.

    Upright, as JPEG, or as PNG where it is transparent. What cannot be read is left to the server,
    which says why.

    Raises:
        InvalidArgumentError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InvalidArgumentError(
            "resizing needs Pillow: pip install 'latentspace[cli]'"
        ) from error
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if max(opened.size) <= side:
                return data
            opened.draft("RGB", (side, side))  # a JPEG is decoded smaller
            upright = ImageOps.exif_transpose(opened)
            clear = "A" in upright.getbands() or "transparency" in upright.info
            mode = "RGBA" if clear else "RGB"
            fitted = upright.convert(mode)
            fitted.thumbnail((side, side), Image.Resampling.BICUBIC)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return data
    buffer = io.BytesIO()
    if clear:
        fitted.save(buffer, "PNG")
    else:
        fitted.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
