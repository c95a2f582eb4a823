"""Raw items in, float32 rows out: encoders of texts, images and keys behind one contract."""

from embedders.base import (
    ComputeDtype,
    Encoded,
    EncodeOptions,
    Encoder,
    Item,
    Limits,
    Modality,
    ModelInfo,
    Prepared,
    Region,
)
from embedders.registry import families, load

__all__ = [
    "ComputeDtype",
    "EncodeOptions",
    "Encoded",
    "Encoder",
    "Item",
    "Limits",
    "Modality",
    "ModelInfo",
    "Prepared",
    "Region",
    "families",
    "load",
]
