"""Scores of pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from latentspace.enums import Verdict, from_wire
from latentspace.v1 import search_service_pb2
from latentspace.vectors import floats


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair's cosine, NaN where it failed.

    Args:
        same: whether the score reaches `threshold`; None where no threshold is known.
        false_accept_rate: expected share of different pairs called the same, or None.
    """

    score: float
    same: bool | None
    threshold: float | None
    false_accept_rate: float | None = None


def failed_comparison() -> Comparison:
    """In the place of a pair that could not be sent."""
    return Comparison(math.nan, None, None)


def comparisons_of(reply: search_service_pb2.CompareResponse) -> list[Comparison]:
    """One for each pair of a reply."""
    threshold = reply.threshold if reply.HasField("threshold") else None
    rate = reply.false_accept_rate if reply.HasField("false_accept_rate") else None
    scores: Sequence[float] = floats(reply.scores).tolist()
    verdicts = [from_wire(Verdict, v) for v in reply.verdicts] or [None] * len(scores)
    return [
        Comparison(score, None if v is None else v is Verdict.SAME, threshold, rate)
        for score, v in zip(scores, verdicts, strict=True)
    ]
