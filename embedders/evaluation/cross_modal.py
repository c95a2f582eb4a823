"""Text to image and image to text: recall at k, as on Flickr8k (Hodosh and others, 2013)."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from embedders.base import EncodeOptions, Item, Modality
from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject, embed_all, require
from embedders.evaluation.bootstrap import mean_figure
from embedders.evaluation.files import Archive, Images, is_image
from embedders.options import STRICT
from embedders.training import Progress
from embedders.vectors import FloatRows, IndexArray

BLOCK = 512

Cut = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, slots=True)
class CrossModalParams:
    """Parameters: ranks at which recall is cut, and at most so many images (0: all)."""

    __pydantic_config__: ClassVar = STRICT

    recall: tuple[Cut, ...] = (1, 5, 10)
    limit: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class Captioned:
    """Images with captions: paths, captions one after another, and the image of each caption."""

    images: list[str]
    captions: list[str]
    owner: IndexArray


def evaluate(model: Subject, source: str, params: CrossModalParams, progress: Progress) -> Outcome:
    """Recall at k both ways.

    `text_to_image/recall@k` is the share of captions whose image is among the k nearest images;
    `image_to_text/recall@k` the share of images with a caption of theirs among the k nearest
    captions. Intervals draw whole images, since captions of one image are alike.

    Raises:
        OptionError: the model does not embed texts and images, or the files do not fit.
    """
    for modality in (Modality.TEXT, Modality.IMAGE):
        require(model, modality, "cross_modal_retrieval")
    archive = Archive(Path(source))
    given = read_captioned(archive, params.limit)
    options = EncodeOptions(role="query")
    texts = [Item(Modality.TEXT, caption) for caption in given.captions]
    captions = embed_all(model, texts, options, progress, "captions")
    pictures = Images(archive, given.images)
    images = embed_all(model, pictures, EncodeOptions(), progress, "images")
    found = captions.found & images.found[given.owner]
    to_image, to_text = ranks(captions.rows, images.rows, given.owner)
    to_image[~found] = len(given.images)
    to_text[~images.found] = len(given.captions)
    figures = _figures(given, to_image, to_text, params.recall)
    whole = len(captions.rows) + len(images.rows)
    return Outcome(figures, (int(captions.found.sum()) + int(images.found.sum())) / whole)


def read_captioned(archive: Archive, limit: int = 0) -> Captioned:
    """KEY.jpg (or another image) beside KEY.json with `{"captions": [texts]}`, by path.

    Raises:
        OptionError: no such pair, or a file of another shape.
    """
    images: list[str] = []
    captions: list[str] = []
    owner: list[int] = []
    for name in filter(is_image, archive.names):
        card = str(PurePosixPath(name).with_suffix(".json"))
        if card not in archive or (limit and len(images) == limit):
            continue
        found = _captions(archive, card)
        captions += found
        owner += [len(images)] * len(found)
        images.append(name)
    if not images:
        raise OptionError("source", "there is no image KEY.jpg with captions in KEY.json")
    return Captioned(images, captions, np.array(owner, np.intp))


def ranks(
    captions: FloatRows, images: FloatRows, owner: IndexArray
) -> tuple[IndexArray, IndexArray]:
    """How many others are nearer, ties counted against the model.

    Args:
        owner: image of each caption, intp (captions,).

    Returns:
        For each caption the rank of its image among images (captions,), and for each image the
        best rank of its captions among captions (images,); 0 is the first.
    """
    to_image = np.empty(len(captions), np.intp)
    to_text = np.empty(len(images), np.intp)
    for start in range(0, len(captions), BLOCK):
        mine = owner[start : start + BLOCK]
        scores = captions[start : start + BLOCK] @ images.T
        own = scores[np.arange(len(mine)), mine]
        to_image[start : start + BLOCK] = (scores >= own[:, None]).sum(axis=1) - 1
    for start in range(0, len(images), BLOCK):
        scores = images[start : start + BLOCK] @ captions.T
        theirs = owner[None, :] == np.arange(start, start + len(scores))[:, None]
        # of the same products: another sum of the same numbers rounds otherwise
        best = np.where(theirs, scores, -np.inf).max(axis=1, keepdims=True)
        to_text[start : start + BLOCK] = ((scores >= best) & ~theirs).sum(axis=1)
    return to_image, to_text


def _figures(
    given: Captioned, to_image: IndexArray, to_text: IndexArray, cuts: tuple[int, ...]
) -> tuple[Figure, ...]:
    count = np.bincount(given.owner, minlength=len(given.images))
    made = []
    for k in cuts:
        hits = np.bincount(given.owner, weights=to_image < k, minlength=len(given.images))
        made.append(mean_figure(f"text_to_image/recall@{k}", hits, count))
    made += [mean_figure(f"image_to_text/recall@{k}", to_text < k) for k in cuts]
    return tuple(made)


def _captions(archive: Archive, name: str) -> list[str]:
    try:
        found = json.loads(archive.read(name))["captions"]
        if not found or not all(isinstance(text, str) for text in found):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise OptionError("source", f'{name} is not {{"captions": [texts]}}') from error
    return list(found)
