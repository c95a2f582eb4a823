"""Arithmetic of the calls that behave as gensim's `KeyedVectors` do."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import InvalidArgumentError
from latentspace.inputs import Input, KeyInput, VectorInput

Term = str | NDArray[Any] | Input | tuple[str | NDArray[Any] | Input, float]
SignedTerms = list[tuple[float, Input]]

# weights are float32 on the wire
_SMALL, _LARGE = 1e-30, 1e30


def signed_terms(
    positive: Term | Sequence[Term] | None, negative: Term | Sequence[Term] | None
) -> tuple[SignedTerms, SignedTerms]:
    """Positives and negatives with positive weights, from gensim's arguments.

    A weight of its own is taken as it is on either side, so that a negative one among the
    positives pushes away. Keys count with unit length, vectors with the length they have.
    """
    terms = [(*_term(item, 1.0),) for item in _listed(positive)]
    terms += [(*_term(item, -1.0),) for item in _listed(negative)]
    terms = _within_float32(terms)
    if not terms:
        raise InvalidArgumentError("pass at least one positive or negative key")
    return [(w, i) for w, i in terms if w > 0], [(-w, i) for w, i in terms if w < 0]


def unweighted_terms(terms: Term | Sequence[Term] | None) -> list[Input]:
    """Inputs of terms that have no weights.

    Raises:
        InvalidArgumentError: one has a weight.
    """
    items = _listed(terms)
    for item in items:
        if isinstance(item, tuple):
            raise InvalidArgumentError(
                f"{item!r:.60}: weights are for `most_similar` and `analogy`"
            )
    return [_term(item, 1.0)[1] for item in items]


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Cosine of two vectors; 0.0 where one is zero, as in gensim."""
    first, second = _unit(np.stack([a, b]))
    return float(first @ second)


def odd_one_out(keys: Sequence[str], rows: Iterable[NDArray[np.float32]]) -> str:
    """The key farthest from the mean of all, each scaled to unit length; ties go to the smaller."""
    matrix = _unit(np.array(list(rows)))
    # float64, so that the order does not hang on the order of summation
    closeness = (matrix @ matrix.mean(axis=0)).tolist()
    return min(zip(closeness, keys, strict=True))[1]


def _unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of unit length, float64 (n, d); zero rows stay zero."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(norms > 0, norms, 1)


def _within_float32(terms: SignedTerms) -> SignedTerms:
    """Weights of the same proportions whose largest is 1, where float32 could not hold them."""
    largest = max((abs(weight) for weight, _ in terms), default=1.0)
    scale = 1.0 if _SMALL < largest < _LARGE else largest or 1.0
    return [(weight / scale, item) for weight, item in terms]


def _term(item: Term, sign: float) -> tuple[float, Input]:
    weight = sign
    if isinstance(item, tuple):
        item, weight = item
    if isinstance(item, str):
        return weight, KeyInput(item)
    if isinstance(item, np.ndarray):
        # the server scales inputs to unit length, gensim leaves vectors as they are
        return weight * float(np.linalg.norm(item.astype(np.float64))), VectorInput(
            item.astype(np.float32)
        )
    return weight, item


def _listed(terms: Term | Sequence[Term] | None) -> Sequence[Term]:
    if terms is None:
        return []
    return [terms] if _is_term(terms) else list(terms)  # type: ignore[arg-type]


def _is_term(terms: Term | Sequence[Term]) -> TypeGuard[Term]:
    pair = isinstance(terms, tuple) and len(terms) == 2 and isinstance(terms[1], int | float)
    vector = isinstance(terms, np.ndarray) and terms.ndim == 1
    return pair or vector or isinstance(terms, str | Input)
