"""Inputs and options of the wire to the runtime's."""

import math
from collections.abc import Iterable

import numpy as np

from embedders.base import ComputeDtype, EncodeOptions, Item, Modality
from latentspace.v1 import types_pb2 as pb
from services.runtime.errors import NotServedError, RequestError
from services.runtime.inputs import Input, PointInput, VectorInput, WeightedInput

COMPUTE_DTYPES = {
    pb.DTYPE_UNSPECIFIED: None,
    pb.DTYPE_FLOAT32: ComputeDtype.FLOAT32,
    pb.DTYPE_FLOAT16: ComputeDtype.FLOAT16,
    pb.DTYPE_BFLOAT16: ComputeDtype.BFLOAT16,
}
MODALITIES = {
    "text": pb.MODALITY_TEXT,
    "image": pb.MODALITY_IMAGE,
    "key": pb.MODALITY_KEY,
    "vector": pb.MODALITY_VECTOR,
}


def read_input(message: pb.Input, field: str) -> Input:
    """An input of any kind.

    Raises:
        RequestError: none is set.
    """
    kind = message.WhichOneof("input")
    if kind == "text":
        return Item(Modality.TEXT, message.text)
    if kind == "key":
        return Item(Modality.KEY, message.key)
    if kind == "image":
        return Item(Modality.IMAGE, message.image)
    if kind == "point":
        check_vector_name(message.point.vector_name, f"{field}.point.vector_name")
        return PointInput(message.point.id, message.point.collection)
    if kind == "vector":
        values = np.array(message.vector.values, np.float32)
        return VectorInput(values, message.vector.space_id)
    raise RequestError(field, "set one of text, image, key, vector, point")


def read_items(messages: Iterable[pb.Input], field: str) -> list[Item]:
    """Inputs that a model can embed.

    Raises:
        RequestError: one is a vector or a point, or none is set.
    """
    items = []
    for i, message in enumerate(messages):
        value = read_input(message, f"{field}[{i}]")
        if not isinstance(value, Item):
            raise RequestError(f"{field}[{i}]", "set text, image or key; this is a vector already")
        items.append(value)
    return items


def read_weighted(message: pb.WeightedInput, field: str) -> WeightedInput:
    """An input and its weight.

    Raises:
        RequestError: the weight is 0 or not finite.
    """
    weight = message.weight if message.HasField("weight") else 1.0
    if not math.isfinite(weight) or weight == 0:
        raise RequestError(f"{field}.weight", f"a weight is finite and not 0, not {weight}")
    return WeightedInput(read_input(message.input, f"{field}.input"), weight)


def read_options(message: pb.EmbedOptions, default_role: str) -> EncodeOptions:
    """Options of an encoder.

    Raises:
        RequestError: an unknown dtype.
    """
    if message.compute_dtype not in COMPUTE_DTYPES:
        raise RequestError("options.compute_dtype", f"dtype {message.compute_dtype} is unknown")
    return EncodeOptions(
        role=message.role or default_role,
        compute_dtype=COMPUTE_DTYPES[message.compute_dtype],
        dimensions=message.dimensions,
        refuse_truncation=message.refuse_truncation,
        cropped=message.cropped,
        compose_unknown=message.compose_unknown_keys,
    )


def check_vector_name(name: str, field: str) -> None:
    """Refuses named vectors, which this version does not serve.

    Raises:
        NotServedError
    """
    if name:
        raise NotServedError(f'{field}: only the vector named "" is served, not {name!r}')
