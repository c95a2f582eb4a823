"""What a query or a point may be given as: an item to embed, a vector, or a stored point."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from embedders.base import Item
from embedders.vectors import FloatRows


@dataclass(frozen=True, slots=True)
class VectorInput:
    """One vector float32 (dim,), and the space the caller says it is of ("" for not said)."""

    values: FloatRows
    space_id: str = ""


@dataclass(frozen=True, slots=True)
class PointInput:
    """The vector of a stored point; `collection` "" is the one that is searched."""

    id: str
    collection: str = ""


Input = Item | VectorInput | PointInput


@dataclass(frozen=True, slots=True)
class WeightedInput:
    """An input and its factor in a sum of unit vectors."""

    input: Input
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Packed vectors float32 (n, dim) that came as one block, and their space ("" not said)."""

    rows: FloatRows
    space_id: str = ""


def identity(value: Input) -> Hashable:
    """Equal for equal inputs, so that a batch embeds each only once."""
    if isinstance(value, VectorInput):
        return ("vector", value.space_id, np.asarray(value.values, np.float32).tobytes())
    return value
