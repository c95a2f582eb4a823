"""Values of a row to what a record holds: its id and its input."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace.enums import Modality
from latentspace.images import FilePart
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.values import unicode
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, VectorInput

MAX_ID_BYTES = 512

_URL = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)  # one letter is a drive


def id_of(value: object) -> str:
    """An id, 1 to 512 bytes of UTF-8; whole numbers are written out.

    Raises:
        RecordError: empty, too long, or neither text nor a whole number.
    """
    if value is None or value == "":
        raise RecordError(Reason.NO_ID, "the id is empty")
    try:
        name = _text(value)
        size = len(name.encode())
    except ValueError as error:
        raise RecordError(Reason.BAD_ID, f"the id cannot be used: {error}") from None
    if size > MAX_ID_BYTES:
        message = f"the id {name!r:.60} has {size} bytes, at most {MAX_ID_BYTES} are kept"
        raise RecordError(Reason.BAD_ID, message)
    return name


def input_of(value: object, kind: Modality | None, folder: Path) -> Input:
    """What is embedded.

    Args:
        value: text; a key; a path, or bytes of an image file; a vector as a list, an array, or
            text such as "[0.5, 1]".
        kind: None takes bytes for an image, lists and arrays for a vector, all else for text.
        folder: where relative paths of images begin.

    Raises:
        RecordError: empty, or nothing of its kind.
    """
    if value is None or (isinstance(value, str | bytes) and not value):
        raise RecordError(Reason.NO_INPUT, "there is nothing to embed: the input is empty")
    try:
        match kind or _kind(value):
            case Modality.TEXT:
                return TextInput(_text(value))
            case Modality.KEY:
                return KeyInput(_text(value))
            case Modality.IMAGE:
                return ImageInput(_image(value, folder))
            case Modality.VECTOR:
                return VectorInput(_vector(value))
    except (TypeError, ValueError) as error:
        raise RecordError(Reason.BAD_INPUT, f"the input cannot be used: {error}") from None


def _kind(value: object) -> Modality:
    match value:
        case bytes() | FilePart() | {"bytes": _}:
            return Modality.IMAGE
        case list() | np.ndarray():
            return Modality.VECTOR
    return Modality.TEXT


def _text(value: object) -> str:
    match value:
        case str():
            return unicode(value)
        case int() | np.integer() if not isinstance(value, bool):
            return str(value)
    raise ValueError(f"expected text, got {type(value).__name__}")


def _image(value: object, folder: Path) -> bytes | FilePart | Path:
    match value:
        case bytes() | FilePart():
            return value
        case {"bytes": bytes() as data}:  # as Hugging Face datasets has it
            return data
        case Mapping():
            value = value.get("path")
    path = _text(value)
    if _URL.match(path):
        raise ValueError(f"{path!r:.80} is a URL, and nothing is fetched; name a file")
    if "\0" in path:
        raise ValueError(f"{path!r:.80} is not a path")
    return folder / path


def _vector(value: Any) -> NDArray[np.float32]:
    if isinstance(value, str):
        value = value.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    with np.errstate(over="ignore"):
        row = np.asarray(value, np.float32)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"expected a vector (dim,), got the shape {row.shape}")
    if not np.isfinite(row).all():
        raise ValueError("the vector has numbers that are not finite as float32")
    return row
