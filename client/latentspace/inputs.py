"""What a vector can be made from: `text`, `image`, `key`, `vector`, `point`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace.enums import Modality
from latentspace.errors import InvalidArgumentError, LatentspaceError
from latentspace.images import ImageSource, image_bytes
from latentspace.sifting import Sieve
from latentspace.spaces import common_space
from latentspace.v1 import types_pb2
from latentspace.vectors import VectorLike, VectorsLike, as_row, checked_rows


@dataclass(frozen=True, slots=True)
class TextInput:
    """Natural-language text."""

    value: str


@dataclass(frozen=True, slots=True, repr=False)
class ImageInput:
    """An image; a path is read when it is sent."""

    source: ImageSource

    def __repr__(self) -> str:
        known = self.source if isinstance(self.source, str) else type(self.source).__name__
        return f"ImageInput({known})"


@dataclass(frozen=True, slots=True)
class KeyInput:
    """A key of a vocabulary: a word or a graph node."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class VectorInput:
    """A vector, float32 (dim,), its space and what it was made from, where the caller knows.

    Args:
        error: why it cannot be sent, or None.
    """

    values: NDArray[np.float32]
    space_id: str = ""
    modality: Modality | None = None
    error: LatentspaceError | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PointInput:
    """The vector of a stored point; no collection means the one that is searched."""

    id: str
    collection: str = ""
    vector_name: str = ""


Input = TextInput | ImageInput | KeyInput | VectorInput | PointInput


def text(value: str) -> TextInput:
    """Natural-language text."""
    return TextInput(value)


def image(source: ImageSource) -> ImageInput:
    """An image: bytes of a file, a path, a Pillow image, or uint8 pixels (height, width[, c])."""
    return ImageInput(source)


def key(value: str) -> KeyInput:
    """A key of a vocabulary: a word or a graph node."""
    return KeyInput(value)


def vector(values: VectorLike, space_id: str = "") -> VectorInput:
    """A vector (dim,); with its space it is refused where the space is another one."""
    row = as_row(values, space_id=space_id)[0]
    return VectorInput(row.astype(np.float32), row.space_id)


def point(id: str, collection: str = "", vector_name: str = "") -> PointInput:
    """The vector of a stored point; no collection means the one that is searched."""
    return PointInput(id, collection, vector_name)


def input_message(item: Input) -> types_pb2.Input:
    """The wire form of an input.

    Raises:
        OSError: an image file cannot be read.
        InvalidArgumentError: not an input.
    """
    match item:
        case TextInput():
            return types_pb2.Input(text=checked_string(item.value, "text"))
        case KeyInput():
            return types_pb2.Input(key=checked_string(item.value, "key"))
        case ImageInput():
            return types_pb2.Input(image=image_bytes(item.source))
        case VectorInput():
            if item.error is not None:
                raise item.error
            space_id = item.space_id or common_space([item.values])
            values = types_pb2.Vector(values=item.values, space_id=space_id)
            return types_pb2.Input(vector=values)
        case PointInput():
            where = types_pb2.PointRef(
                collection=item.collection,
                id=checked_string(item.id, "point"),
                vector_name=item.vector_name,
            )
            return types_pb2.Input(point=where)
    raise InvalidArgumentError(
        f"expected text(...), image(...), key(...), vector(...) or point(...), got {item!r:.80}"
    )


def plural_inputs(
    *,
    inputs: Iterable[Input] | None = None,
    texts: Iterable[str] | None = None,
    images: Iterable[ImageSource] | None = None,
    keys: Iterable[str] | None = None,
    points: Iterable[str | PointInput] | None = None,
    vectors: VectorsLike | None = None,
) -> Iterator[Input]:
    """The inputs of the one keyword that is given, made as they are asked for.

    Raises:
        InvalidArgumentError: none is given, or several are, or a string stands for a list.
    """
    given = {
        name: value
        for name, value in (
            ("inputs", inputs),
            ("texts", texts),
            ("images", images),
            ("keys", keys),
            ("points", points),
            ("vectors", vectors),
        )
        if value is not None
    }
    name = only_one(given)
    if isinstance(given[name], str | bytes):
        raise InvalidArgumentError(f"{name}: expected a list, got one {name[:-1]}; pass [value]")
    if inputs is not None:
        return iter(inputs)
    if texts is not None:
        return map(TextInput, texts)
    if images is not None:
        return map(ImageInput, images)
    if keys is not None:
        return map(KeyInput, keys)
    if points is not None:
        return (p if isinstance(p, PointInput) else PointInput(p) for p in points)
    rows, errors = checked_rows(() if vectors is None else vectors)
    numbers = rows.astype(np.float32)
    return (VectorInput(numbers[i], error=errors.get(i)) for i in range(len(numbers)))


def input_sieve(**kinds: Any) -> Sieve[Input, types_pb2.Input]:
    """`plural_inputs` as messages, where those that cannot be sent fail alone."""
    items = plural_inputs(**kinds)
    return Sieve(items, input_message, next(n for n, value in kinds.items() if value is not None))


def only_one(given: Iterable[str]) -> str:
    """The single name in `given`.

    Raises:
        InvalidArgumentError: there is none, or there are several.
    """
    names = list(given)
    if len(names) == 1:
        return names[0]
    problem = f"got {', '.join(names)}" if names else "got none"
    raise InvalidArgumentError(f"pass exactly one kind of input ({problem})")


def strings(values: str | Sequence[str], name: str) -> list[str]:
    """A list of strings; one string stands for itself, never for its letters."""
    if isinstance(values, str):
        return [checked_string(values, name)]
    return [checked_string(value, f"{name}[{i}]") for i, value in enumerate(values)]


def checked_string(value: object, name: str) -> str:
    """The same string.

    Raises:
        InvalidArgumentError: none, or not valid Unicode.
    """
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"{name}: expected a string, got {value!r:.80}; {_string_cure(value, name)}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{name}: {value!r:.80} is not valid Unicode") from error
    return value


def _string_cure(value: object, name: str) -> str:
    missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    if missing:
        return "it is missing: leave it out, or fill it"
    return "pass str(id)" if name.startswith("id") else "pass str(value)"
