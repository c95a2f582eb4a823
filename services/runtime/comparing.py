"""Pairs of items: how alike they are, and whether they are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embedders.base import EncodeOptions
from embedders.vectors import normalize_rows
from services.runtime.collections import Collections
from services.runtime.encoding import NO_TIMES, Times
from services.runtime.errors import RequestError
from services.runtime.inputs import Input, identity
from services.runtime.models import Model
from services.runtime.resolve import model_target, resolve

Pair = tuple[Input, Input]


@dataclass(frozen=True, slots=True)
class Compared:
    """Scores of pairs.

    Args:
        scores: cosines float32 (n,), NaN where a pair failed.
        threshold: from which a pair is the same; None where none is known.
        false_accept_rate: share of different pairs expected to reach it; None where not known.
        errors: pairs that failed, by position.
    """

    scores: NDArray[np.float32]
    space_id: str
    threshold: float | None = None
    false_accept_rate: float | None = None
    errors: Mapping[int, Exception] = field(default_factory=dict)
    times: Times = NO_TIMES


async def compare(
    collections: Collections,
    model: Model,
    pairs: Sequence[Pair],
    threshold: float | None,
    options: EncodeOptions,
    deadline: float | None = None,
) -> Compared:
    """The cosine of each pair; pairs that fail are in `errors`.

    Args:
        threshold: instead of the model's calibrated one.

    Raises:
        RequestError, OptionError, ModelNotReadyError, OverloadedError
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise RequestError("threshold", f"scores are cosines, -1 to 1; so is this, not {threshold}")
    target = model_target(collections, model, options)
    found = await resolve(
        collections, target, [value for pair in pairs for value in pair], options, deadline
    )
    keys = [(identity(a), identity(b)) for a, b in pairs]
    errors: dict[int, Exception] = {}
    for place, pair in enumerate(keys):
        if failed := [found.errors[key] for key in pair if key in found.errors]:
            errors[place] = failed[0]
    rows = normalize_rows(found.rows)
    first, second = (rows[[found.place[pair[side]] for pair in keys]] for side in (0, 1))
    scores = np.einsum("ij,ij->i", first, second).astype(np.float32)
    scores[list(errors)] = np.nan
    info = model.ready().info
    own = threshold is None
    return Compared(
        scores,
        target.space_id,
        info.same_threshold if own else threshold,
        info.false_accept_rate if own else None,
        errors,
        found.embedded.times if found.embedded is not None else NO_TIMES,
    )
