"""Vectors that know their space, through numpy's operations."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from latentspace.errors import FailedPreconditionError

Base = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]

# what leaves a vector in its space: scaling, and sums with others of it
_LINEAR: frozenset[object] = frozenset(
    {np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive}
)
# their results are no vectors, whatever the spaces
_COMPARISONS: frozenset[object] = frozenset(
    {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
) | {np.isclose, np.allclose, np.array_equal, np.array_equiv}
_JOINS: frozenset[object] = frozenset(
    {np.concatenate, np.where, np.insert, np.select, np.copyto, np.block}
)
# the same vectors, rounded or chosen, of which numpy by itself makes an ordinary array
_ORDINARY: frozenset[object] = frozenset({np.unique, np.broadcast_to, np.clip, np.round})
# of these come scores, or vectors of another space, as of a rotation
_PRODUCTS: frozenset[object] = frozenset(
    {np.dot, np.vdot, np.inner, np.outer, np.tensordot, np.einsum, np.kron}
)


class Embeddings(Base):
    """An array of vectors, and the space that they are of; "" where it is not known.

    What selects, copies, joins, scales, rounds or adds vectors keeps the space: slices,
    `concatenate`, `stack`, `astype`, `mean(axis=0)`, `rows / norms`, pickling. What makes other
    numbers of them, as scores and rotations, gives an ordinary array. An array that knows no space
    may be joined or added, and counts as of the same.

    Raises:
        FailedPreconditionError: vectors of two spaces meet in one operation. `np.asarray(rows)`
            is the numbers alone; whether two arrays are equal may always be tested.
    """

    space_id: str

    def __new__(cls, values: ArrayLike, space_id: str = "") -> Self:
        """A view of an array where it is one, else a new array."""
        rows = np.asarray(values).view(cls)
        rows.space_id = space_id
        return rows

    def __array_finalize__(self, source: object) -> None:
        self.space_id = getattr(source, "space_id", "")

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **options: Any) -> Any:
        """Applies a ufunc to the numbers; see the class for what comes of the space."""
        targets = options.get("out", ())
        space = "" if ufunc in _COMPARISONS else common_space([*inputs, *targets])
        result = getattr(ufunc, method)(*_plain_parts(inputs), **_plain_parts(options))
        if targets:
            return targets[0] if len(targets) == 1 else targets
        if ufunc in _LINEAR and any(_same_length(result, one) for one in inputs):
            return Embeddings(result, space)
        return result

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Applies another function of numpy; see the class for what comes of the space."""
        if function not in _COMPARISONS | _JOINS | _ORDINARY | _PRODUCTS:
            return super().__array_function__(function, types, args, kwargs)
        space = "" if function in _COMPARISONS else common_space(args, depth=4)
        result = function(*_plain_parts(args), **_plain_parts(kwargs))
        is_rows = function in _JOINS | _ORDINARY and isinstance(result, np.ndarray)
        return Embeddings(result, space) if is_rows else result

    def dot(self, other: ArrayLike, out: Any = None) -> Any:
        """See `numpy.dot`."""
        return np.dot(self, other, out)

    def __setitem__(self, where: Any, value: Any) -> None:
        common_space([self, value])
        super().__setitem__(where, value)

    def __reduce__(self) -> tuple[Any, ...]:
        make, args, numbers = cast(tuple[Any, Any, Any], super().__reduce__())
        return make, args, (numbers, self.space_id)

    def __setstate__(self, state: Any) -> None:
        numbers, self.space_id = state
        super().__setstate__(numbers)


@dataclass(frozen=True, slots=True)
class SpaceOnly:
    """A space that the caller says, to be compared with those of vectors."""

    space_id: str


def common_space(values: Iterable[Any], depth: int = 2) -> str:
    """The space of all vectors among values and within their lists; "" where none knows its own.

    Args:
        depth: levels of lists that are looked into.

    Raises:
        FailedPreconditionError: there are two.
    """
    space = ""
    for one in _spaces(values, depth):
        if space and one != space:
            raise mismatch(space, one)
        space = one
    return space


def mismatch(first: str, second: str) -> FailedPreconditionError:
    """The error of two spaces that meet."""
    return FailedPreconditionError(
        f"vectors of two spaces cannot be compared or mixed: {first} and {second}; embed with one "
        "model, or take np.asarray(rows) for the numbers alone",
        reason="SPACE_MISMATCH",
    )


def _spaces(values: Iterable[Any], depth: int) -> Iterator[str]:
    for value in values:
        space = getattr(value, "space_id", None)
        if isinstance(space, str):
            if space:
                yield space
        elif depth > 1 and (isinstance(value, list | tuple) or _holds_objects(value)):
            yield from _spaces(value, depth - 1)


def _holds_objects(value: Any) -> bool:
    """Whether it is a column of vectors, as an object array or a pandas Series."""
    return getattr(value, "ndim", 0) == 1 and getattr(value, "dtype", None) == np.dtype(object)


def _same_length(result: Any, source: object) -> bool:
    """Whether results are as long as the vectors that they come of, so that they are vectors."""
    return isinstance(source, Embeddings) and np.shape(result)[-1:] == source.shape[-1:]


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Embeddings) else value


def _plain_parts(value: Any) -> Any:
    """The same arguments with plain arrays, in lists and dictionaries too."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain_parts, value))
    if isinstance(value, dict):
        return {name: _plain_parts(one) for name, one in value.items()}
    return _plain(value)
