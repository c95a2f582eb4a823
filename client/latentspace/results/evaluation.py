"""What an evaluation found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from google.protobuf import json_format

from latentspace.enums import Task, from_wire
from latentspace.v1 import evaluation_service_pb2


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, such as "accuracy/capital-world", and its 95 % bootstrap interval."""

    name: str
    value: float
    low: float
    high: float
    items: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Figures of a model; `coverage` is the share of items it could answer, in [0, 1]."""

    model: str
    space_id: str
    task: Task | None
    figures: tuple[Figure, ...]
    coverage: float

    def __getitem__(self, name: str) -> Figure:
        """The figure of this name; KeyError where there is none."""
        return {figure.name: figure for figure in self.figures}[name]

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Self:
        """From the result of an operation of kind "evaluate"."""
        message = evaluation_service_pb2.EvaluationReport()
        json_format.ParseDict(dict(result), message, ignore_unknown_fields=True)
        return cls(
            model=message.model,
            space_id=message.space_id,
            task=from_wire(Task, message.task),
            figures=tuple(Figure(f.name, f.value, f.low, f.high, f.items) for f in message.figures),
            coverage=message.coverage,
        )
