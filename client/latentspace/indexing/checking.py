"""What no server would take, refused record by record before anything is sent."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from latentspace.enums import Modality
from latentspace.images import image_bytes
from latentspace.indexing.records import Record
from latentspace.indexing.sources.fields import id_of, input_of
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, VectorInput
from latentspace.requests.importing import NewPoint


def checked(record: Record, dim: int) -> Record:
    """A record that can be sent, its image in memory.

    Args:
        dim: of the collection's vectors; 0 where it is not known.

    Raises:
        RecordError: its id or its input cannot be used.
        OSError, LatentspaceError: its image cannot be read.
    """
    return replace(record, id=id_of(record.id), input=_input(record.input, dim))


def check_size(point: NewPoint, max_bytes: int) -> None:
    """Refuses a point that no message can hold.

    Raises:
        RecordError: names the sizes.
    """
    match point.input:
        case ImageInput(source=bytes() as data):
            size = len(data)
        case TextInput(value) | KeyInput(value):
            size = len(value.encode("utf-8", "surrogatepass"))
        case VectorInput(values):
            size = values.nbytes
        case _:
            size = 0
    if size > max_bytes:
        message = f"the input has {size} bytes; a message holds at most {max_bytes}"
        raise RecordError(Reason.BAD_INPUT, message)


def _input(item: Input, dim: int) -> Input:
    match item:
        case TextInput():
            return input_of(item.value, Modality.TEXT, Path())
        case KeyInput():
            return input_of(item.value, Modality.KEY, Path())
        case VectorInput():
            values = np.asarray(item.values, np.float32)
            if values.ndim != 1 or (dim and len(values) != dim):
                message = f"the vector has the shape {values.shape}; the collection has ({dim},)"
                raise RecordError(Reason.BAD_INPUT, message)
            if not np.isfinite(values).all():
                message = "the vector has numbers that are not finite"
                raise RecordError(Reason.BAD_INPUT, message)
        case ImageInput(source) if not isinstance(source, bytes):
            return ImageInput(image_bytes(source))
    return item
