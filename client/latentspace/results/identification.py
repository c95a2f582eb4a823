"""Who is seen: what a model finds in inputs, and the nearest points of a gallery."""

from collections.abc import Sequence
from dataclasses import dataclass

from latentspace.errors import InvalidArgumentError
from latentspace.results.embedding import EmbeddingBatch, Region
from latentspace.results.listing import Listing
from latentspace.results.search import NO_SCORE, Match
from latentspace.spelling import did_you_mean


@dataclass(frozen=True, slots=True, eq=False)
class Identified:
    """A face, or what else the model finds in an input, and whose it is.

    Args:
        id: of the nearest point; None where nothing reaches the threshold: unknown.
        name: the point's own name; None where it is unknown, or the point says no name.
        score: of the nearest point, whether it reaches the threshold or not; -inf where there
            is none.
        threshold: score from which a point counts as the same.
        region: where it is in the image; None where the model detects nothing.
        nearest: the nearest points, best first, whatever their scores.
    """

    id: str | None
    name: str | None
    score: float
    threshold: float
    region: Region | None = None
    nearest: tuple[Match, ...] = ()


def identified_of(
    batch: EmbeddingBatch,
    nearest: Sequence[Sequence[Match]],
    label: str | None,
    threshold: float,
) -> Listing[list[Identified]]:
    """For each input of a batch what was found in it, in the order of its rows.

    Args:
        nearest: points for each row.
        label: payload field that names a point; None: its id does.

    Raises:
        InvalidArgumentError: not one of the points has the field `label`.
    """
    _check_label(label, nearest)
    answers: Listing[list[Identified]] = Listing([] for _ in range(batch.inputs))
    for row, (position, matches) in enumerate(zip(batch.index.tolist(), nearest, strict=True)):
        region = batch.regions[row] if batch.regions else None
        answers[position].append(_identified(tuple(matches), label, threshold, region))
    return answers


def _check_label(label: str | None, nearest: Sequence[Sequence[Match]]) -> None:
    """A field that no point has is a typing error, and would make strangers of everybody."""
    payloads = [match.payload or {} for matches in nearest for match in matches]
    if label is not None and payloads and not any(label in payload for payload in payloads):
        fields = dict.fromkeys(name for payload in payloads for name in payload)
        raise InvalidArgumentError(
            f"label: none of the nearest points has a payload field {label!r}"
            f"{did_you_mean(label, fields)}"
        )


def _identified(
    matches: tuple[Match, ...], label: str | None, threshold: float, region: Region | None
) -> Identified:
    best = matches[0] if matches else None
    score = NO_SCORE if best is None else best.score
    if best is None or score < threshold:
        return Identified(None, None, score, threshold, region, matches)
    return Identified(best.id, _name(best, label), score, threshold, region, matches)


def _name(match: Match, label: str | None) -> str | None:
    if label is None:
        return match.id
    value = (match.payload or {}).get(label)
    return None if value is None else str(value)
