"""How large an image file may be, checked from its size and header before it is decoded."""

from dataclasses import dataclass

from embedders.errors import InvalidItemError, ItemTooLargeError

#: the decoder itself refuses more than this (twice Pillow's own bound on decompression bombs)
MOST_PIXELS = 178_956_970


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits of an image.

    Args:
        max_bytes: of the encoded file.
        max_pixels: width times height; what is over 178,956,970 is refused anyhow.
        max_aspect: longer side over shorter side. A sliver of 1 x 60,000 pixels is small, and
            yet would fill memory once its short side is resized to a model's 224.
    """

    max_bytes: int = 20 << 20
    max_pixels: int = 64_000_000
    max_aspect: int = 100

    def check_bytes(self, count: int) -> None:
        """Refuses an empty or too large file.

        Raises:
            InvalidItemError, ItemTooLargeError
        """
        if not count:
            raise InvalidItemError("the image is empty")
        if count > self.max_bytes:
            raise ItemTooLargeError(f"the image has {count} bytes, at most {self.max_bytes} fit")

    def check_size(self, width: int, height: int) -> None:
        """Refuses too many pixels, too few or a sliver.

        Raises:
            InvalidItemError, ItemTooLargeError
        """
        pixels, short = width * height, min(width, height)
        size = f"the image has {width} x {height} pixels"
        if short < 1:
            raise InvalidItemError(size)
        if pixels > self.max_pixels:
            raise ItemTooLargeError(f"{size}, at most {self.max_pixels} fit; scale it down")
        if max(width, height) > self.max_aspect * short:
            raise ItemTooLargeError(
                f"{size}: its longer side is more than {self.max_aspect} times its shorter; crop it"
            )


DEFAULT_LIMITS = ImageLimits()
