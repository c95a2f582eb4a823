"""Labels put into words, and the vector of each (Radford and others, 2021, section 3.1).

A label's vector is the mean of the unit vectors of its sentences, one for each template, scaled
to unit length: what open_clip's `build_zero_shot_classifier` makes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embedders.base import EncodeOptions, Item, Modality, ModelInfo
from embedders.vectors import FloatRows, normalize_rows
from services.runtime.embedder import Embedder
from services.runtime.errors import RequestError
from services.runtime.models import Model
from services.runtime.templates import SLOT, TEMPLATE_SETS

ROLE = "query"
# Sentences encoded at a time; between two such parts other calls get their turn.
PART = 1024
MAX_LABELS, MAX_TEMPLATES, MAX_SENTENCES = 100_000, 1_000, 1_000_000
MAX_LABEL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Labels:
    """What to choose from.

    Args:
        names: distinct labels.
        templates: sentences with one "{}" each, at least one.
        template_set: the name that stands for the templates, or "".
    """

    names: tuple[str, ...]
    templates: tuple[str, ...]
    template_set: str = ""

    @property
    def sentences(self) -> list[str]:
        """All sentences of the first label, then those of the second, ..."""
        return [each.replace(SLOT, name) for name in self.names for each in self.templates]


def read_labels(
    info: ModelInfo, names: Sequence[str], templates: Sequence[str], template_set: str, field: str
) -> Labels:
    """Labels checked, with the model's own templates where none are given.

    Raises:
        RequestError
    """
    check_names(names, f"{field}.labels")
    if template_set and templates:
        raise RequestError(f"{field}.template_set", "give templates or a template_set, not both")
    if template_set and template_set not in TEMPLATE_SETS:
        known = ", ".join(TEMPLATE_SETS)
        raise RequestError(
            f"{field}.template_set",
            f"there is no template set {template_set[:100]!r}; one of: {known}",
        )
    chosen = TEMPLATE_SETS[template_set] if template_set else templates or info.templates or (SLOT,)
    check_templates(chosen, f"{field}.templates")
    if len(names) * len(chosen) > MAX_SENTENCES:
        raise RequestError(
            f"{field}.labels",
            f"{len(names)} labels in {len(chosen)} templates are more than {MAX_SENTENCES}"
            " sentences",
        )
    return Labels(tuple(names), tuple(chosen), template_set)


def check_names(names: Sequence[str], field: str) -> None:
    """Refuses labels that are none.

    Raises:
        RequestError
    """
    if not 1 <= len(names) <= MAX_LABELS:
        raise RequestError(field, f"give 1 to {MAX_LABELS} labels, not {len(names)}")
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name.strip():
            raise RequestError(f"{field}[{place}]", "a label is not empty")
        if len(name) > MAX_LABEL_CHARACTERS:
            raise RequestError(
                f"{field}[{place}]", f"a label has at most {MAX_LABEL_CHARACTERS} characters"
            )
        if places.setdefault(name, place) != place:
            raise RequestError(
                f"{field}[{place}]",
                f"{name!r} is label {places[name]} already; labels are distinct",
            )


def check_templates(templates: Sequence[str], field: str) -> None:
    """Refuses templates without a place for the label.

    Raises:
        RequestError
    """
    if len(templates) > MAX_TEMPLATES:
        raise RequestError(field, f"at most {MAX_TEMPLATES} templates, not {len(templates)}")
    for place, template in enumerate(templates):
        if template.count(SLOT) != 1:
            raise RequestError(
                f"{field}[{place}]", f'{template[:100]!r} does not have exactly one "{SLOT}"'
            )


async def label_rows(
    embedder: Embedder,
    model: Model,
    labels: Labels,
    options: EncodeOptions,
    deadline: float | None = None,
) -> FloatRows:
    """The vector of each label, unit rows float32 (labels, dim); kept in the cache as one value.

    Raises:
        RequestError: a sentence cannot be embedded, or they cancel each other out.
        OverloadedError: it would take longer than the caller waits.
    """
    options = replace(options, role=ROLE)
    source = json.dumps([labels.names, labels.templates])

    async def make() -> FloatRows:
        return await _encoded(embedder, model, labels, options, deadline)

    return await embedder.derived(model, "labels", source, options, make, deadline)


async def _encoded(
    embedder: Embedder, model: Model, labels: Labels, options: EncodeOptions, deadline: float | None
) -> FloatRows:
    info, sentences = model.ready().info, labels.sentences
    modality = Modality.TEXT if Modality.TEXT in info.modalities else Modality.KEY
    sums = np.zeros((len(labels.names), options.dimensions or info.dim), np.float32)
    for start in range(0, len(sentences), PART):
        items = [Item(modality, text) for text in sentences[start : start + PART]]
        found = await embedder.embed_patiently(model, items, options, deadline, cached=False)
        if found.errors:
            place, error = min(found.errors.items())
            label = (start + place) // len(labels.templates)
            raise RequestError(
                f"labels[{label}]",
                f"{sentences[start + place][:200]!r} cannot be embedded: {error}",
            ) from error
        owner = (start + found.index) // len(labels.templates)
        np.add.at(sums, owner, normalize_rows(found.rows))
    if not sums.any(axis=1).all():
        place = int(np.flatnonzero(~sums.any(axis=1))[0])
        raise RequestError(f"labels[{place}]", f"{labels.names[place]!r} has no direction")
    return normalize_rows(sums)
