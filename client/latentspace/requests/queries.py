"""Queries: weighted sums of inputs, and recommendation by examples."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import cast

from latentspace.enums import RecommendStrategy, to_wire
from latentspace.errors import InvalidArgumentError
from latentspace.inputs import Input, KeyInput, PointInput, input_message
from latentspace.v1 import search_service_pb2, types_pb2

Weighted = Input | tuple[float, Input] | tuple[Input, float]
WordLike = str | Input | tuple[float, str | Input] | tuple[str | Input, float]


@dataclass(frozen=True, slots=True)
class Recommend:
    """More like `positives`, less like `negatives`; a string is the id of a stored point."""

    positives: Sequence[str | Input]
    negatives: Sequence[str | Input] = ()
    strategy: RecommendStrategy | str = RecommendStrategy.AVERAGE


QueryLike = Input | Recommend | Sequence[Weighted]


def query_message(query: QueryLike) -> search_service_pb2.Query:
    """The wire form of a query.

    Raises:
        InvalidArgumentError: it is empty, or not made of inputs and weights.
    """
    message = search_service_pb2.Query()
    if isinstance(query, Recommend):
        message.recommend.CopyFrom(_recommend_message(query))
        return message
    terms = query if isinstance(query, list | tuple) else (query,)
    if isinstance(query, tuple) and len(query) == 2 and any(isinstance(q, Real) for q in query):
        raise InvalidArgumentError("query: wrap a single (weight, input) in a list")
    if not terms:
        raise InvalidArgumentError("query: is empty; pass at least one input")
    for term in terms:
        item, weight = weighted(term)
        target = message.weighted.inputs.add(input=input_message(cast(Input, item)))
        if weight is not None:
            target.weight = weight
    return message


def weighted(term: WordLike) -> tuple[str | Input, float | None]:
    """Splits a term into its input and its weight; None where it has none of its own."""
    if not isinstance(term, tuple):
        return term, None
    if len(term) == 2:
        first, second = term
        if isinstance(first, Real) and isinstance(second, str | Input):
            return second, _weight(first)
        if isinstance(second, Real) and isinstance(first, str | Input):
            return first, _weight(second)
    raise InvalidArgumentError(f"expected an input or (weight, input), got {term!r:.80}")


def add_weighted(target: types_pb2.WeightedInput, item: str | Input, weight: float | None) -> None:
    """Writes an input and its weight in place; a string is a key."""
    if isinstance(item, str):
        target.input.CopyFrom(input_message(KeyInput(item)))
    else:
        target.input.CopyFrom(input_message(item))
    if weight is not None:
        target.weight = weight


def terms_of(words: WordLike | Iterable[WordLike]) -> list[WordLike]:
    """A list of terms; one string, one input or one (input, weight) stands for itself."""
    if isinstance(words, str | Input):
        return [words]
    if isinstance(words, tuple) and len(words) == 2 and any(isinstance(w, Real) for w in words):
        return [words]  # type: ignore[list-item]
    return list(words)  # type: ignore[arg-type]


def _recommend_message(query: Recommend) -> search_service_pb2.Recommend:
    if not query.positives:
        raise InvalidArgumentError("recommend: pass at least one positive example")
    return search_service_pb2.Recommend(
        positives=[_example(item) for item in query.positives],
        negatives=[_example(item) for item in query.negatives],
        strategy=to_wire(RecommendStrategy, query.strategy, "strategy"),
    )


def _example(item: str | Input) -> types_pb2.Input:
    return input_message(PointInput(item) if isinstance(item, str) else item)


def _weight(value: Real) -> float:
    number = float(value)
    if not number or not math.isfinite(number):
        raise InvalidArgumentError(f"weight: expected a finite number other than 0, got {value}")
    return number
