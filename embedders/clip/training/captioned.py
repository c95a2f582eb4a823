"""Images with captions for training: a folder or a WebDataset tar, held as small pictures."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedders.errors import ItemError, OptionError
from embedders.evaluation.cross_modal import read_captioned
from embedders.evaluation.files import Archive, is_image
from embedders.images import decode
from embedders.training import Progress
from embedders.vectors import IndexArray


@dataclass(frozen=True, slots=True)
class CaptionedImages:
    """Pictures and their captions.

    Args:
        names: path of each image in the source, ascending.
        pixels: uint8 (n, side, side, 3), RGB; the aspect ratio is not kept.
        captions: of the first image, then of the second, ...
        owner: image of each caption, intp (captions,), ascending.
        unreadable: images left out, with the reason.
    """

    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    captions: tuple[str, ...]
    owner: IndexArray
    unreadable: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Of the pictures and captions."""
        digest = hashlib.sha256(self.pixels.tobytes())
        digest.update("\n".join(self.captions).encode())
        return digest.hexdigest()

    def part(self, chosen: NDArray[np.bool_]) -> "CaptionedImages":
        """The images chosen by (n,), numbered anew."""
        kept = chosen[self.owner]
        numbers = np.cumsum(chosen) - 1
        return CaptionedImages(
            tuple(name for name, keep in zip(self.names, chosen, strict=True) if keep),
            self.pixels[chosen],
            tuple(text for text, keep in zip(self.captions, kept, strict=True) if keep),
            np.asarray(numbers[self.owner[kept]], dtype=np.intp),
            self.unreadable,
        )


def read_images(source: Path, side: int, progress: Progress) -> CaptionedImages:
    """Reads KEY.jpg (or another image) beside KEY.json with `{"captions": [texts]}`.

    Args:
        source: a folder, or a plain .tar.

    Raises:
        OptionError: no such pairs, a file of another shape, or no image that can be read.
    """
    if not source.exists():
        raise OptionError("source", f"{source}: no such folder or .tar file")
    archive = Archive(source)
    given = read_captioned(archive)
    pixels = np.zeros((len(given.images), side, side, 3), np.uint8)
    readable, bad = np.ones(len(pixels), np.bool_), []
    for place, name in enumerate(given.images):
        progress("read", place, len(pixels))
        try:
            pixels[place] = small_picture(archive.read(name), side)
        except ItemError as error:
            readable[place] = False
            bad.append(f"{name}: {error}")
    if not readable.any():
        raise OptionError("source", f"{source}: no image could be read; the first: {bad[0]}")
    found = CaptionedImages(
        tuple(given.images), pixels, tuple(given.captions), given.owner, tuple(bad)
    )
    return found if readable.all() else found.part(readable)


def read_pictures(source: Path, side: int) -> NDArray[np.uint8]:
    """All images of a folder or tar in the order of their names, uint8 (n, side, side, 3).

    Raises:
        ItemError: one of them cannot be read.
    """
    archive = Archive(source)
    names = [name for name in archive.names if is_image(name)]
    return np.stack([small_picture(archive.read(name), side) for name in names])


def small_picture(data: bytes, side: int) -> NDArray[np.uint8]:
    """An encoded image as uint8 (side, side, 3).

    Raises:
        ItemError: it cannot be decoded.
    """
    image = decode(data, at_least=side)
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def held_out(names: Sequence[str], share: float) -> NDArray[np.bool_]:
    """Whether an image is kept out, bool (n,); by a hash of its name, so it stays so."""
    return np.array([_place(name) < share for name in names], dtype=np.bool_)


def _place(name: str) -> float:
    """A number in [0, 1) that hangs on the name alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64
