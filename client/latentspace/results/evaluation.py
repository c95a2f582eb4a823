"""What an evaluation found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from google.protobuf import json_format

from latentspace.enums import Task, from_wire
from latentspace.results.listing import html_or_nothing
from latentspace.v1 import evaluation_service_pb2

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]


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

    def to_pandas(self) -> "pd.DataFrame":
        """The figures as a data frame (see `latentspace.tables`)."""
        from latentspace.tables import to_pandas

        return to_pandas(self)

    def _repr_html_(self) -> str:
        return html_or_nothing(self)

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
