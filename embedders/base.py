"""The encoder contract: raw items in, float32 rows out.

An encoder works in two steps, so that a scheduler can overlap them: `prepare` is CPU work on
single items in many threads, `encode` is one forward pass over a batch. The base does the
chores: it checks options and shapes, refuses texts that mean nothing, cuts to the wanted
dimensions and renormalises.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from embedders.errors import ItemError, ModalityError, OptionError
from embedders.png import grey_png
from embedders.space import space_id
from embedders.vectors import FloatRows, IndexArray, normalize_rows
from embedders.visible import check_visible


class Modality(StrEnum):
    """Kind of a raw item."""

    TEXT = "text"
    IMAGE = "image"
    KEY = "key"


class ComputeDtype(StrEnum):
    """Number format of a forward pass; rows come out as float32 all the same."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Item:
    """A raw item: `str` for texts and keys, the encoded file as `bytes` for images."""

    modality: Modality
    value: str | bytes


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """Options of a call; hashable, since items are batched and cached by them.

    `dimensions` 0 keeps all; `compute_dtype` None is the model's own.
    """

    role: str = "document"
    compute_dtype: ComputeDtype | None = None
    dimensions: int = 0
    refuse_truncation: bool = False
    cropped: bool = False
    compose_unknown: bool = False


DEFAULT_OPTIONS = EncodeOptions()

#: what warms a model up: a text of some words, and a grey PNG of 64 x 64 pixels
WARM_ITEMS: Mapping[Modality, str | bytes] = {
    Modality.TEXT: "a text of some words to warm up",
    Modality.IMAGE: grey_png(64),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model accepts; 0 means no limit of its own."""

    max_tokens: int = 0
    max_image_bytes: int = 0
    max_image_pixels: int = 0
    max_batch_items: int = 0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a loaded model; all that defines its space is in `space_parts`.

    Args:
        prompts: role to the text put before an input of that role.
        space_parts: pooling, preprocessing and whatever else changes vectors, but for
            revision, prompts, dim and normalized, which are added here.
        templates: sentences with "{}" that put a label into words, where the model has its own.
        same_threshold: score from which two items count as the same.
        false_accept_rate: share of different pairs that reach it, as calibrated.
    """

    id: str
    family: str
    modalities: frozenset[Modality]
    dim: int
    revision: str
    normalized: bool
    limits: Limits = Limits()
    prompts: Mapping[str, str] = field(default_factory=dict)
    space_parts: Mapping[str, str] = field(default_factory=dict)
    compute_dtype: ComputeDtype = ComputeDtype.FLOAT32
    device: str = "cpu"
    memory_bytes: int = 0
    logit_scale: float | None = None
    logit_bias: float | None = None
    templates: tuple[str, ...] = ()
    same_threshold: float | None = None
    false_accept_rate: float | None = None
    # every call asks for it, and it takes as long as reading a short request
    _spaces: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def space_id(self) -> str:
        """Space of full-length rows."""
        return self.space()

    def space(self, dimensions: int = 0) -> str:
        """Space of rows cut to `dimensions` (0: full length)."""
        found = self._spaces.get(dimensions)
        if found is None:
            dim = dimensions or self.dim
            normalized = self.normalized or dim < self.dim
            found = space_id(self.revision, dim, normalized, self.prompts, self.space_parts)
            self._spaces[dimensions] = found
        return found


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item ready for `encode`. `tokens` counts before truncation.

    `cost` is in tokens; an image costs one for each patch of 16 x 16 pixels that a model sees.
    """

    data: Any
    modality: Modality
    cost: int = 1
    tokens: int = 0
    truncated: bool = False
    composed: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """A box in an image, in pixels of the upright image, and a detector's confidence in [0, 1]."""

    x: float
    y: float
    width: float
    height: float
    quality: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of a batch.

    Args:
        rows: float32 (n, dim).
        index: intp (n,), for each row the position of its input, ascending.
        regions: for each row its place in the image, where the model detects.
        errors: inputs whose failure showed only in the forward pass, by position.
    """

    rows: FloatRows
    index: IndexArray
    regions: Sequence[Region] | None = None
    errors: Mapping[int, ItemError] = field(default_factory=dict)

    @classmethod
    def one_each(cls, rows: FloatRows) -> "Encoded":
        """Exactly one row an input."""
        return cls(rows, np.arange(len(rows), dtype=np.intp))


class Encoder(ABC):
    """A loaded model. `prepare` and `encode` are safe in many threads at once."""

    info: ModelInfo

    def check_options(self, options: EncodeOptions) -> None:
        """Refuses options that do not fit, before any work.

        Raises:
            OptionError: naming the option and what fits.
        """
        if options.role not in self.info.prompts and options.role not in ("query", "document"):
            known = ", ".join(sorted({"query", "document", *self.info.prompts}))
            raise OptionError("role", f"role {options.role!r} is unknown; one of: {known}")
        if not 0 <= options.dimensions <= self.info.dim:
            raise OptionError(
                "dimensions", f"dimensions must be 0 to {self.info.dim}, not {options.dimensions}"
            )

    def prepare_batch(
        self, items: Sequence[Item], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> list[Prepared | ItemError]:
        """CPU work for each item; a bad one gives its error in its place."""
        return [self._prepare_or_error(item, options) for item in items]

    def encode(
        self, batch: Sequence[Prepared], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> Encoded:
        """One forward pass over a batch of one modality; rows in the order of the batch."""
        encoded = self._forward(batch, options)
        rows = np.ascontiguousarray(encoded.rows, dtype=np.float32)
        if rows.ndim != 2 or rows.shape != (len(encoded.index), self.info.dim):
            raise ValueError(
                f"{self.info.id}: rows {rows.shape} for {len(encoded.index)} indices "
                f"of dimension {self.info.dim}"
            )
        if options.dimensions and options.dimensions < self.info.dim:
            rows = normalize_rows(rows[:, : options.dimensions])
        return Encoded(rows, encoded.index, encoded.regions, encoded.errors)

    def warm_up(self) -> None:
        """One forward pass for each modality, so that the first call waits for nothing.

        Texts and images are made up; one that the model refuses is no fault. Encoders that do
        not compute, or whose made-up image would not reach their network, have their own way.
        """
        for modality in sorted(self.info.modalities & WARM_ITEMS.keys()):
            [prepared] = self.prepare_batch([Item(modality, WARM_ITEMS[modality])])
            if isinstance(prepared, Prepared):
                self.encode([prepared])

    def close(self) -> None:
        """Gives memory back; the encoder is not used again."""
        return  # most encoders are freed with their last reference

    @abstractmethod
    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """CPU work for one item.

        Raises:
            ItemError: the item cannot be embedded.
        """

    @abstractmethod
    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        """Rows of full length; at least one prepared item, all of one modality."""

    def _prepare_or_error(self, item: Item, options: EncodeOptions) -> Prepared | ItemError:
        try:
            self.check_item(item)
            return self.prepare(item, options)
        except ItemError as error:
            return error

    def check_item(self, item: Item) -> None:
        """Refuses an item of a kind that the model does not embed, and a text that means nothing.

        Raises:
            ModalityError: of another kind.
            InvalidItemError: a text without a visible character.
        """
        if item.modality not in self.info.modalities:
            kinds = ", ".join(sorted(self.info.modalities))
            raise ModalityError(f"model {self.info.id!r} embeds {kinds}, not {item.modality}")
        if item.modality is Modality.TEXT and isinstance(item.value, str):
            check_visible(item.value)
