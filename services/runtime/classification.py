"""Zero-shot classification: which label's vector is nearest?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from embedders.base import EncodeOptions, ModelInfo
from embedders.vectors import FloatRows, normalize_rows, top_k
from services.runtime.collections import Collections
from services.runtime.encoding import NO_TIMES, Times
from services.runtime.errors import RequestError, SpaceMismatchError
from services.runtime.inputs import Input, identity
from services.runtime.label_sets import LabelSet, LabelSets
from services.runtime.labels import Labels, label_rows
from services.runtime.models import Model
from services.runtime.pools import run_in
from services.runtime.resolve import Resolved, model_target, resolve

# Factor on cosines of models that have none of their own: sentence transformers are trained with
# a temperature of 0.05.
DEFAULT_SCALE = 20.0


class Activation(StrEnum):
    """How scores become probabilities."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of each item; None is the model's own.

    Args:
        top_k: best labels; 0: all.
        min_probability: leave out labels below.
    """

    top_k: int = 0
    min_probability: float = 0.0
    activation: Activation | None = None
    logit_scale: float | None = None


@dataclass(frozen=True, slots=True)
class Classified:
    """Labels of each item in columns, best first, `counts[i]` of them for item i.

    Args:
        labels: all labels that could be chosen.
        index: intp (sum of counts,), positions in `labels`.
        probabilities: float32 (sum of counts,).
        counts: int64 (n,); 0 where an item failed or no label was probable enough.
        errors: items that failed, by position.
        work_ns: the arithmetic.
    """

    labels: Sequence[str]
    index: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    counts: NDArray[np.int64]
    space_id: str
    errors: Mapping[int, Exception] = field(default_factory=dict)
    times: Times = NO_TIMES


@dataclass(frozen=True, slots=True)
class Scale:
    """From cosines to probabilities."""

    activation: Activation
    scale: float
    bias: float = 0.0

    def probabilities(self, cosines: FloatRows) -> FloatRows:
        """float32 (n, labels), with softmax of rows that sum to 1."""
        logits = cosines * np.float32(self.scale) + np.float32(self.bias)
        if self.activation is Activation.SIGMOID:
            # of either sign without overflow
            return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        return np.asarray(logits / logits.sum(axis=1, keepdims=True), np.float32)


async def classify(
    collections: Collections,
    label_sets: LabelSets,
    model: Model,
    inputs: Sequence[Input],
    classifier: LabelSet | Labels,
    wanted: Wanted,
    options: EncodeOptions,
    deadline: float | None = None,
) -> Classified:
    """The labels of each item; items that fail are in `errors`.

    Raises:
        RequestError, OptionError, ModelNotReadyError, OverloadedError
        SpaceMismatchError: the label set is of another space.
    """
    target = model_target(collections, model, options)
    scale = scale_of(model.ready().info, wanted)
    if isinstance(classifier, LabelSet):
        check_space(classifier, target.space_id)
        labels, rows = classifier.labels, await label_sets.rows(classifier)
    else:
        labels = classifier
        rows = await label_rows(collections.embedder, model, labels, options, deadline)
    found = await resolve(collections, target, inputs, options, deadline)
    places, errors = places_of(found, inputs)
    index, probabilities, counts = await run_in(
        collections.pools.search, choose, found.rows[places], rows, scale, wanted
    )
    all_counts = np.zeros(len(inputs), np.int64)
    all_counts[[i for i in range(len(inputs)) if i not in errors]] = counts
    times = found.embedded.times if found.embedded is not None else NO_TIMES
    return Classified(
        labels.names, index, probabilities, all_counts, target.space_id, errors, times
    )


def scale_of(info: ModelInfo, wanted: Wanted) -> Scale:
    """What is wanted, completed by the model's own.

    Raises:
        RequestError
    """
    scale = wanted.logit_scale
    if scale is None:
        scale = info.logit_scale or DEFAULT_SCALE
    if not (0 < scale < np.inf):
        raise RequestError("logit_scale", f"a scale is finite and above 0, not {scale}")
    if not 0 <= wanted.min_probability <= 1:
        raise RequestError(
            "min_probability", f"a probability is 0 to 1, not {wanted.min_probability}"
        )
    own = Activation.SOFTMAX if info.logit_bias is None else Activation.SIGMOID
    activation = wanted.activation or own
    if activation is Activation.SOFTMAX:
        return Scale(activation, scale)
    if info.logit_bias is None:
        raise RequestError(
            "activation",
            f"model {info.id!r} was not trained to judge labels one by one (it has no logit"
            " bias, as SigLIP models have); use softmax",
        )
    return Scale(activation, scale, info.logit_bias)


def check_space(found: LabelSet, space_id: str) -> None:
    """Refuses a label set of another space.

    Raises:
        SpaceMismatchError
    """
    if found.space_id != space_id:
        raise SpaceMismatchError(
            "label_set",
            found.space_id,
            space_id,
            f"label set {found.name!r} was made by model {found.model!r} as it was then: ask that"
            " model, or delete the label set and create it again",
        )


def places_of(found: Resolved, inputs: Sequence[Input]) -> tuple[list[int], dict[int, Exception]]:
    """The row of each input that has one, and why the others have none, by position."""
    keys = [identity(value) for value in inputs]
    errors = {i: found.errors[key] for i, key in enumerate(keys) if key in found.errors}
    return [found.place[key] for i, key in enumerate(keys) if i not in errors], errors


def choose(
    rows: FloatRows, labels: FloatRows, scale: Scale, wanted: Wanted
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.int64]]:
    """Labels of each row: positions, probabilities, and how many; one product for all.

    Args:
        rows: float32 (n, dim), of any length.
        labels: unit rows float32 (m, dim).
    """
    probabilities = scale.probabilities(normalize_rows(rows) @ labels.T)
    best = top_k(probabilities, wanted.top_k or len(labels))
    chosen = np.take_along_axis(probabilities, best, axis=1)
    kept = chosen >= wanted.min_probability
    return best[kept], chosen[kept], np.count_nonzero(kept, axis=1).astype(np.int64)


def used(found: Classified) -> Classified:
    """The same, with only those labels that an item has."""
    names, places = np.unique(found.index, return_inverse=True)
    return replace(found, labels=[found.labels[i] for i in names], index=places.reshape(-1))
