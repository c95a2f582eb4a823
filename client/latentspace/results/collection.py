"""Collections, how well they are searched, and their snapshots."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from latentspace.enums import CollectionState, FieldType, Metric, SegmentState, from_wire
from latentspace.results.times import time_of
from latentspace.v1 import collection_service_pb2


@dataclass(frozen=True, slots=True)
class DefaultEffort:
    """The least effort that a search without parameters uses in a segment, as it was measured.

    Args:
        ef: candidates of a graph; 0 for other recipes.
        nprobe: lists visited; 0 for other recipes.
        rerank: candidates rescored with their full vectors; 0 for other recipes.
        recall: mean share of the ten nearest neighbours that it found, 0 to 1; `low` and `high` are
            its 95 % confidence interval.
        samples: rows of the segment whose neighbours were searched.
    """

    ef: int
    nprobe: int
    rerank: int
    recall: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a collection; `rows` counts tombstones too.

    Args:
        default_effort: None where it is searched exactly, or was not measured.
    """

    id: int
    state: SegmentState | None
    rows: int
    tombstones: int
    recipe: str
    default_effort: DefaultEffort | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection.

    Args:
        recipe: in force; `asked_recipe` is what its user said, perhaps "auto".
        points: live points.
        model: whose space it holds; "" for the caller's own vectors.
        index: parameters of index building; those left to the recipe are absent.
        search: default effort of searches; likewise.
        version: grows with every acknowledged write.
        default_recall: share of the ten nearest neighbours that a search without parameters finds
            at least, 0 to 1; None where it was not measured, or `search` sets an effort.
    """

    name: str
    points: int
    dim: int
    metric: Metric | None
    recipe: str
    asked_recipe: str = ""
    model: str = ""
    space_id: str = ""
    fields: Mapping[str, FieldType | None] = field(default_factory=dict)
    index: Mapping[str, int] = field(default_factory=dict)
    search: Mapping[str, int | bool] = field(default_factory=dict)
    read_only: bool = False
    state: CollectionState | None = None
    state_reason: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 0
    segments: tuple[Segment, ...] = ()
    disk_bytes: int = 0
    memory_bytes: int = 0
    create_time: datetime | None = None
    default_recall: float | None = None

    @classmethod
    def from_message(cls, message: collection_service_pb2.Collection) -> Self:
        """From the wire."""
        spec = message.spec
        return cls(
            name=message.name,
            points=message.points,
            dim=spec.dim,
            metric=from_wire(Metric, spec.metric),
            recipe=message.recipe,
            asked_recipe=spec.recipe,
            model=spec.model,
            space_id=spec.space_id,
            fields={name: from_wire(FieldType, kind) for name, kind in spec.fields.items()},
            index={known.name: value for known, value in spec.index.ListFields()},
            search={known.name: value for known, value in spec.search.ListFields()},
            read_only=message.read_only,
            state=from_wire(CollectionState, message.state),
            state_reason=message.state_reason,
            aliases=tuple(message.aliases),
            version=message.version,
            segments=tuple(map(_segment, message.segments)),
            disk_bytes=message.disk_bytes,
            memory_bytes=message.memory_bytes,
            create_time=time_of(message.create_time),
            default_recall=message.default_recall if message.HasField("default_recall") else None,
        )


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the true neighbours that searches find, and its 95 % confidence interval."""

    recall: float
    low: float
    high: float
    samples: int
    mean_search_ns: int
    mean_exact_ns: int

    @classmethod
    def from_message(cls, message: collection_service_pb2.MeasureRecallResponse) -> Self:
        """From the wire."""
        return cls(
            recall=message.recall,
            low=message.low,
            high=message.high,
            samples=message.samples,
            mean_search_ns=message.mean_search_ns,
            mean_exact_ns=message.mean_exact_ns,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An archive of a collection as it was at `create_time`."""

    name: str
    collection: str
    points: int
    bytes: int
    create_time: datetime | None
    version: int

    @classmethod
    def from_message(cls, message: collection_service_pb2.Snapshot) -> Self:
        """From the wire."""
        return cls(
            name=message.name,
            collection=message.collection,
            points=message.points,
            bytes=message.bytes,
            create_time=time_of(message.create_time),
            version=message.version,
        )


def _segment(message: collection_service_pb2.Segment) -> Segment:
    return Segment(
        id=message.id,
        state=from_wire(SegmentState, message.state),
        rows=message.rows,
        tombstones=message.tombstones,
        recipe=message.recipe,
        default_effort=_effort(message.default_effort)
        if message.HasField("default_effort")
        else None,
    )


def _effort(message: collection_service_pb2.DefaultEffort) -> DefaultEffort:
    return DefaultEffort(
        ef=message.ef,
        nprobe=message.nprobe,
        rerank=message.rerank,
        recall=message.recall,
        low=message.low,
        high=message.high,
        samples=message.samples,
    )
