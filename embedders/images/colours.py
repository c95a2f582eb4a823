"""Every mode of a decoded picture to RGB with 8 bits a channel."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from embedders.errors import InvalidItemError

WHITE = (255, 255, 255)
WITH_ALPHA = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
#: byte order of modes with 16 bits of grey
SIXTEEN_BITS: Mapping[str, str] = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}
#: these have no agreed range of values
UNRANGED = frozenset({"I", "F"})


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as RGB: transparency over white, 16 bits to their upper 8, CMYK converted.

    Raises:
        InvalidItemError: pixels that have no agreed range or colours that cannot be converted.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        return _over_white(image)
    if image.mode in SIXTEEN_BITS:
        return _upper_byte(image).convert("RGB")
    if image.mode in UNRANGED:
        raise InvalidItemError("its pixels have 32 bits: save it with 8 or 16 bits a channel")
    try:
        return image.convert("RGB")
    except ValueError:
        raise InvalidItemError(f"its colours ({image.mode}) cannot be converted to RGB") from None


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BITS:
        # Pillow cannot apply a transparent 16-bit grey; the grey itself is kept
        return _upper_byte(image).convert("RGB")
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    picture = Image.new("RGB", image.size, WHITE)
    picture.paste(layer, mask=layer.getchannel("A"))
    return picture


def _upper_byte(image: Image.Image) -> Image.Image:
    values = np.frombuffer(image.tobytes(), dtype=SIXTEEN_BITS[image.mode])
    shape = (image.height, image.width)
    return Image.fromarray((values >> 8).astype(np.uint8).reshape(shape))
