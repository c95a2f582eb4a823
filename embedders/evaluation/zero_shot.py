"""Zero-shot classification: which label's sentence is nearest? (Radford and others, 2021)

A label's vector is the mean of the unit vectors of its sentences, one for each template, scaled
to unit length; an item gets the labels in descending order of cosine.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from embedders.base import EncodeOptions, Item, Modality
from embedders.errors import OptionError
from embedders.evaluation.base import Outcome, Subject, embed_all, require
from embedders.evaluation.bootstrap import mean_figure
from embedders.evaluation.files import Archive, Images, is_image
from embedders.options import STRICT
from embedders.training import Progress
from embedders.vectors import FloatRows, IndexArray, normalize_rows

SLOT = "{}"

Template = Annotated[str, Field(pattern=r"\{\}", max_length=1000)]
Cut = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, slots=True)
class ZeroShotParams:
    """Parameters.

    Args:
        templates: sentences with "{}" where the label goes.
        names: what labels are called in sentences, by label; others are called as they are.
        top: how many labels an item may be given to be right.
    """

    __pydantic_config__: ClassVar = STRICT

    templates: Annotated[tuple[Template, ...], Field(min_length=1)] = ("a photo of a {}.",)
    names: dict[str, str] = field(default_factory=dict)
    top: tuple[Cut, ...] = (1, 5)


def evaluate(model: Subject, source: str, params: ZeroShotParams, progress: Progress) -> Outcome:
    """Share of images whose label is the first, or among the first five.

    Raises:
        OptionError: the model does not embed texts and images, or the files do not fit.
    """
    for modality in (Modality.TEXT, Modality.IMAGE):
        require(model, modality, "zero_shot")
    archive = Archive(Path(source))
    names, truth = read_labelled(archive)
    labels = sorted(set(truth))
    place = {label: i for i, label in enumerate(labels)}
    answers = np.array([place[label] for label in truth], np.intp)
    weights = label_rows(model, labels, params, progress)
    images = embed_all(model, Images(archive, names), EncodeOptions(), progress, "images")
    nearer = ranks(images.rows[images.found], weights, answers[images.found])
    figures = tuple(mean_figure(f"accuracy@{k}", nearer < k) for k in params.top)
    return Outcome(figures, float(images.found.mean()))


def read_labelled(archive: Archive) -> tuple[list[str], list[str]]:
    """Paths of images and their labels.

    The label stands in KEY.json beside KEY.jpg as `{"label": text}`, or is the name of the
    image's folder.

    Raises:
        OptionError: an image without a label, or no image.
    """
    names, labels = [], []
    for name in filter(is_image, archive.names):
        names.append(name)
        labels.append(_label(archive, PurePosixPath(name)))
    if len(set(labels)) < 2:
        raise OptionError("source", "images of at least two labels are needed")
    return names, labels


def label_rows(
    model: Subject, labels: list[str], params: ZeroShotParams, progress: Progress
) -> FloatRows:
    """The vector of each label, unit rows (labels, dim)."""
    words = [params.names.get(label, label.replace("_", " ")) for label in labels]
    sentences = [template.replace(SLOT, word) for word in words for template in params.templates]
    items = [Item(Modality.TEXT, sentence) for sentence in sentences]
    found = embed_all(model, items, EncodeOptions(role="query"), progress, "labels")
    if found.errors:
        place, reason = next(iter(sorted(found.errors.items())))
        raise OptionError("source", f"{sentences[place]!r} cannot be embedded: {reason}")
    rows = found.rows.reshape(len(labels), len(params.templates), -1)
    return normalize_rows(rows.mean(axis=1))


def ranks(rows: FloatRows, labels: FloatRows, answers: IndexArray) -> IndexArray:
    """How many labels are nearer than the right one, ties counted against the model; (n,)."""
    scores = rows @ labels.T
    own = scores[np.arange(len(rows)), answers]
    found: IndexArray = (scores >= own[:, None]).sum(axis=1) - 1
    return found


def _label(archive: Archive, name: PurePosixPath) -> str:
    card = str(name.with_suffix(".json"))
    if card in archive:
        try:
            found = json.loads(archive.read(card))["label"]
        except (ValueError, KeyError, TypeError) as error:
            raise OptionError("source", f'{card} is not {{"label": text}}') from error
        return str(found)
    if not name.parent.name:
        raise OptionError("source", f"{name} has no label: no {card}, and it is in no folder")
    return name.parent.name
