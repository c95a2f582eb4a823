"""Random views of images: crop, mirror and light colour changes, each repeatable by its number.

A teacher and its student see the same view, each at its own size, so no view is stored: it is
drawn again from (seed, image, view) whenever it is needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ViewRange:
    """How far views differ from the whole image.

    Args:
        area: smallest share of the image's area that a crop keeps.
        colour: largest relative change of brightness, contrast and saturation.
        ratio: largest change of the crop's aspect ratio.
    """

    area: float = 0.35
    colour: float = 0.25
    ratio: float = 4 / 3


def whole(pixels: Pixels, size: int) -> Pixels:
    """The whole image (h, w, 3) at (size, size, 3)."""
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def draw_view(pixels: Pixels, size: int, key: tuple[int, int, int], span: ViewRange) -> Pixels:
    """View `key` = (seed, image, view) of an image (h, w, 3), as (size, size, 3)."""
    rng = np.random.default_rng(key)
    image = Image.fromarray(pixels)
    box = _crop(image.size, rng, span)
    flip, changes = rng.random() < 0.5, 1 + span.colour * rng.uniform(-1, 1, 3)
    view = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind, change in zip(kinds, changes, strict=True):
        view = kind(view).enhance(float(change))
    return np.asarray(view)


def _crop(
    size: tuple[int, int], rng: np.random.Generator, span: ViewRange
) -> tuple[float, float, float, float]:
    width, height = size
    area = rng.uniform(span.area, 1.0)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(span.ratio))
    wide = min(1.0, float(np.sqrt(area * stretch))) * width
    high = min(1.0, float(np.sqrt(area / stretch))) * height
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return left, top, left + wide, top + high
