"""How a search was carried out."""

from dataclasses import dataclass
from typing import Self

from latentspace.v1 import search_service_pb2


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """What one segment did; `method` is "exact", "graph", "lists", ..."""

    segment: int
    method: str
    candidates: int
    ef: int
    nprobe: int
    search_ns: int


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The plan; `selectivity` is the share of points that passed the filter, in [0, 1]."""

    segments: tuple[SegmentPlan, ...]
    selectivity: float
    filter_ns: int

    @classmethod
    def from_message(cls, message: search_service_pb2.SearchPlan) -> Self:
        """From the wire."""
        return cls(
            segments=tuple(
                SegmentPlan(s.segment, s.method, s.candidates, s.ef, s.nprobe, s.search_ns)
                for s in message.segments
            ),
            selectivity=message.selectivity,
            filter_ns=message.filter_ns,
        )
