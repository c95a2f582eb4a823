"""Photos to learn from: Flickr8k's with their captions, and ImageNet's with their labels."""

import json
from pathlib import Path, PurePosixPath

import numpy as np

from clip_lite.everyday import class_of  # type: ignore[import-not-found]
from embedders.clip.training.captioned import CaptionedImages, small_picture
from embedders.evaluation.files import Archive, is_image

# a label is made a caption in a few ways, so that it is no fixed sentence
SENTENCES = ("a photo of a {}.", "{}", "a picture of one {}.", "the {} in a photo.", "a {}.")


def labelled(path: Path, side: int) -> CaptionedImages:
    """The labelled photos that are in no everyday class, with sentences of their labels."""
    archive = Archive(path)
    names = [name for name in _images(archive) if class_of(_label(archive, name)) is None]
    captions = [sentence.format(_label(archive, name)) for name in names for sentence in SENTENCES]
    pixels = np.stack([small_picture(archive.read(name), side) for name in names])
    owner = np.repeat(np.arange(len(names), dtype=np.intp), len(SENTENCES))
    return CaptionedImages(tuple(names), pixels, tuple(captions), owner)


def joined(first: CaptionedImages, second: CaptionedImages) -> CaptionedImages:
    """Both, one after the other."""
    return CaptionedImages(
        first.names + second.names,
        np.concatenate([first.pixels, second.pixels]),
        first.captions + second.captions,
        np.concatenate([first.owner, second.owner + len(first.names)]),
    )


def write_everyday(path: Path, folder: Path) -> None:
    """The photos of the everyday classes, each in the folder of its class."""
    archive = Archive(path)
    for name in _images(archive):
        chosen = class_of(_label(archive, name))
        if chosen is not None:
            target = folder / chosen / PurePosixPath(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


def _images(archive: Archive) -> list[str]:
    return [name for name in archive.names if is_image(name)]


def _label(archive: Archive, name: str) -> str:
    label: str = json.loads(archive.read(str(PurePosixPath(name).with_suffix(".json"))))["label"]
    return label
