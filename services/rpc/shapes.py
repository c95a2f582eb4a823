"""Collections, points and hits between the wire and the index."""

from collections.abc import Sequence

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from index.types import (
    CollectionInfo,
    CollectionSpec,
    CollectionState,
    FieldType,
    Hits,
    IndexParameters,
    MeasuredEffort,
    Metric,
    Points,
    SearchParameters,
    SearchPlan,
    SegmentState,
)
from latentspace.v1 import collection_service_pb2 as pb
from latentspace.v1 import filter_pb2 as filters
from latentspace.v1 import search_service_pb2 as search
from latentspace.v1 import types_pb2 as types
from services.rpc.inputs import MODALITIES
from services.rpc.vectors import pack, packed_floats
from services.runtime.collections import NamedCollection
from services.runtime.errors import RequestError

METRICS = {
    types.METRIC_UNSPECIFIED: Metric.COSINE,
    types.METRIC_COSINE: Metric.COSINE,
    types.METRIC_DOT: Metric.DOT,
    types.METRIC_L2: Metric.L2,
}
METRIC_NUMBERS = {Metric.COSINE: 1, Metric.DOT: 2, Metric.L2: 3}
FIELD_TYPES = {
    filters.FIELD_TYPE_KEYWORD: FieldType.KEYWORD,
    filters.FIELD_TYPE_KEYWORD_LIST: FieldType.KEYWORD_LIST,
    filters.FIELD_TYPE_INT: FieldType.INT,
    filters.FIELD_TYPE_FLOAT: FieldType.FLOAT,
    filters.FIELD_TYPE_BOOL: FieldType.BOOL,
    filters.FIELD_TYPE_DATETIME: FieldType.DATETIME,
}
FIELD_NUMBERS = {field_type: number for number, field_type in FIELD_TYPES.items()}
STATES = {
    CollectionState.READY: pb.COLLECTION_STATE_READY,
    CollectionState.DEGRADED: pb.COLLECTION_STATE_DEGRADED,
}
SEGMENT_STATES = {
    SegmentState.GROWING: pb.SEGMENT_STATE_GROWING,
    SegmentState.BUILDING: pb.SEGMENT_STATE_BUILDING,
    SegmentState.SEALED: pb.SEGMENT_STATE_SEALED,
}


def read_spec(message: pb.CollectionSpec) -> CollectionSpec:
    """What a user decides about a collection.

    Raises:
        RequestError: an unknown metric or field type.
    """
    if message.metric not in METRICS:
        raise RequestError("spec.metric", f"metric {message.metric} is unknown")
    return CollectionSpec(
        dim=message.dim,
        metric=METRICS[message.metric],
        recipe=message.recipe or "auto",
        model=message.model,
        space_id=message.space_id,
        fields=read_fields(message.fields, "spec.fields"),
        index=read_index(message.index),
        search=read_search(message.search),
    )


def read_fields(
    declared: "dict[str, filters.FieldType] | object", name: str
) -> dict[str, FieldType]:
    """Declared payload fields."""
    assert hasattr(declared, "items")
    found = {}
    for field, number in declared.items():
        if number not in FIELD_TYPES:
            raise RequestError(f"{name}[{field!r}]", f"field type {number} is unknown")
        found[field] = FIELD_TYPES[number]
    return found


def read_index(message: pb.IndexParameters) -> IndexParameters:
    """Parameters of index building."""
    return IndexParameters(message.m, message.ef_construction, message.nlist, message.pq_bytes)


def read_search(message: pb.SearchParameters) -> SearchParameters:
    """Effort of a search."""
    return SearchParameters(message.ef, message.nprobe, message.rerank, message.exact)


def write_spec(spec: CollectionSpec) -> pb.CollectionSpec:
    """The spec on the wire."""
    index, search_ = spec.index, spec.search
    return pb.CollectionSpec(
        model=spec.model,
        dim=spec.dim,
        space_id=spec.space_id,
        metric=types.Metric.ValueType(METRIC_NUMBERS[spec.metric]),
        recipe=spec.recipe,
        fields={name: FIELD_NUMBERS[field_type] for name, field_type in spec.fields.items()},
        index=pb.IndexParameters(
            m=index.m,
            ef_construction=index.ef_construction,
            nlist=index.nlist,
            pq_bytes=index.pq_bytes,
        ),
        search=pb.SearchParameters(
            ef=search_.ef, nprobe=search_.nprobe, rerank=search_.rerank, exact=search_.exact
        ),
    )


def write_collection(named: NamedCollection) -> pb.Collection:
    """A collection on the wire."""
    info = named.info
    created = Timestamp()
    created.FromNanoseconds(info.created_ns)
    return pb.Collection(
        name=info.name,
        spec=write_spec(info.spec),
        recipe=info.recipe,
        points=info.points,
        read_only=info.read_only,
        state=STATES[info.state],
        state_reason=info.state_reason,
        aliases=named.aliases,
        version=info.version,
        segments=write_segments(info),
        disk_bytes=info.disk_bytes,
        memory_bytes=info.memory_bytes,
        create_time=created if info.created_ns else None,
        default_recall=info.default_recall,
    )


def write_segments(info: CollectionInfo) -> list[pb.Segment]:
    """Segments on the wire, oldest first."""
    return [
        pb.Segment(
            id=segment.id,
            state=SEGMENT_STATES[segment.state],
            rows=segment.rows,
            tombstones=segment.tombstones,
            recipe=segment.recipe,
            default_effort=write_effort(segment.effort),
        )
        for segment in info.segments
    ]


def write_effort(measured: MeasuredEffort | None) -> pb.DefaultEffort | None:
    """A segment's least effort on the wire."""
    if measured is None:
        return None
    effort = measured.effort
    return pb.DefaultEffort(
        ef=effort.ef,
        nprobe=effort.nprobe,
        rerank=effort.rerank,
        recall=measured.recall,
        low=measured.low,
        high=measured.high,
        samples=measured.samples,
    )


def write_points(points: Points, space_id: str) -> pb.PointBatch:
    """Points on the wire."""
    return pb.PointBatch(
        ids=points.ids,
        vectors=None if points.vectors is None else pack(points.vectors, space_id),
        payloads=points.payloads or (),
        modalities=write_modalities(points.modalities),
    )


def write_modalities(modalities: Sequence[str] | None) -> list[types.Modality.ValueType]:
    """Modalities on the wire; none where all are unknown."""
    if not modalities or not any(modalities):
        return []
    return [MODALITIES.get(m, types.MODALITY_UNSPECIFIED) for m in modalities]


def write_hits(hits: Hits, space_id: str) -> search.SearchResults:
    """Hits on the wire, in columns."""
    points = hits.points
    return search.SearchResults(
        ids=points.ids,
        scores=packed_floats(hits.scores),
        counts=hits.counts.tolist(),
        payloads=points.payloads or (),
        vectors=None if points.vectors is None else pack(points.vectors, space_id),
        modalities=write_modalities(points.modalities),
        groups=[] if hits.values is None else [orjson.dumps(v).decode() for v in hits.values],
    )


def write_plan(plan: SearchPlan) -> search.SearchPlan:
    """A plan on the wire."""
    return search.SearchPlan(
        segments=[
            search.SegmentPlan(
                segment=part.segment,
                method=part.method,
                candidates=part.candidates,
                ef=part.ef,
                nprobe=part.nprobe,
                search_ns=part.search_ns,
            )
            for part in plan.segments
        ],
        selectivity=plan.selectivity,
        filter_ns=plan.filter_ns,
    )
