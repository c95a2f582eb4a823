"""What protocols share: the model under test as they see it, and what they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedders.base import EncodeOptions, Item, Modality, ModelInfo
from embedders.errors import OptionError
from embedders.training import Progress
from embedders.vectors import FloatRows, normalize_rows

# Small enough that other callers of the model hardly wait for it.
EMBED_ITEMS = 128


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """What protocols need to know of a model; `has_vocabulary` is true of lookup models."""

    id: str
    modalities: frozenset[Modality]
    dim: int
    space_id: str
    has_vocabulary: bool = False

    @classmethod
    def of(cls, info: ModelInfo, has_vocabulary: bool) -> "SubjectInfo":
        """Of a loaded model."""
        return cls(info.id, info.modalities, info.dim, info.space_id, has_vocabulary)


@dataclass(frozen=True, slots=True)
class EmbeddedItems:
    """One row an item, float32 (n, dim); rows of items that failed are zero.

    Args:
        errors: reasons by position.
    """

    rows: FloatRows
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which items have a row, bool (n,)."""
        mask = np.ones(len(self.rows), dtype=np.bool_)
        mask[list(self.errors)] = False
        return mask


class Subject(Protocol):
    """The model under test, wherever it runs."""

    @property
    def info(self) -> SubjectInfo:
        """What is known of it."""

    def embed(self, items: Sequence[Item], options: EncodeOptions) -> EmbeddedItems:
        """One row an item: the largest region of an image in which the model finds several.

        Raises:
            OptionError: an option does not fit the model.
        """

    def vocabulary(self, limit: int) -> tuple[list[str], FloatRows]:
        """The first `limit` keys (0: all) and their rows, float32 (n, dim); lookup models only."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, the ends of its 95 % bootstrap interval, and how many items counted."""

    name: str
    value: float
    low: float
    high: float
    items: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures, and the share of the items that the model could answer, in [0, 1]."""

    figures: tuple[Figure, ...]
    coverage: float


def embed_all(
    model: Subject,
    items: Sequence[Item],
    options: EncodeOptions,
    progress: Progress,
    stage: str,
) -> EmbeddedItems:
    """Unit rows of all items, in their order; short texts go first, so that batches pad little.

    Raises:
        OptionError: none of them could be embedded; with a reason.
    """
    order = _by_length(items)
    rows = np.zeros((len(items), model.info.dim), np.float32)
    errors: dict[int, str] = {}
    for start in range(0, len(order), EMBED_ITEMS):
        progress(stage, start, len(order))
        places = order[start : start + EMBED_ITEMS]
        found = model.embed([items[place] for place in places], options)
        rows[places] = normalize_rows(found.rows)
        errors |= {places[i]: reason for i, reason in found.errors.items()}
    progress(stage, len(order), len(order))
    if items and len(errors) == len(items):
        raise OptionError("source", f"no item could be embedded; the first: {errors[order[0]]}")
    return EmbeddedItems(rows, errors)


def require(model: Subject, modality: Modality, task: str) -> None:
    """Refuses a model that does not embed what the protocol needs.

    Raises:
        OptionError
    """
    if modality not in model.info.modalities:
        kinds = ", ".join(sorted(model.info.modalities))
        message = f"{task} needs a model of {modality}s; {model.info.id!r} embeds {kinds}"
        raise OptionError("model", message)


def _by_length(items: Sequence[Item]) -> list[int]:
    # asking an image for its length would read its file
    if not items or items[0].modality is Modality.IMAGE:
        return list(range(len(items)))
    return sorted(range(len(items)), key=lambda place: len(items[place].value))
