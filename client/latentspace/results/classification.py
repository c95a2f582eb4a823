"""Labels of zero-shot classification."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from latentspace.results.listing import Listing
from latentspace.results.times import time_of
from latentspace.v1 import classification_service_pb2
from latentspace.vectors import floats


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its probability, in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A stored zero-shot classifier."""

    name: str
    model: str
    space_id: str
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    template_set: str
    create_time: datetime | None

    @classmethod
    def from_message(cls, message: classification_service_pb2.LabelSet) -> Self:
        """From the wire."""
        return cls(
            name=message.name,
            model=message.model,
            space_id=message.space_id,
            labels=tuple(message.spec.labels),
            templates=tuple(message.spec.templates),
            template_set=message.spec.template_set,
            create_time=time_of(message.create_time),
        )


def labels_of(
    replies: Sequence[classification_service_pb2.ClassifyResponse],
) -> Listing[list[Label]]:
    """For each item its labels, best first, from the columns of one reply or more."""
    items: Listing[list[Label]] = Listing()
    for reply in replies:
        names = [reply.labels[i] for i in reply.label_index]
        flat = list(map(Label, names, floats(reply.probabilities).tolist()))
        start = 0
        for count in reply.counts:
            items.append(flat[start : start + count])
            start += count
    return items
