"""The words of vector storage, as data: specs, infos, points, hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import PointError


class Metric(StrEnum):
    """How vectors are compared. Scores are higher-is-better everywhere outside FAISS."""

    COSINE = "cosine"
    DOT = "dot"
    L2 = "l2"

    @property
    def normalizes(self) -> bool:
        """Whether rows and queries are scaled to unit length first."""
        return self is Metric.COSINE

    @property
    def inner_product(self) -> bool:
        """Whether the score is an inner product of the (scaled) vectors; else minus l2 squared."""
        return self is not Metric.L2


class FieldType(StrEnum):
    """Type of a declared payload field."""

    KEYWORD = "keyword"
    KEYWORD_LIST = "keyword_list"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"


class CollectionState(StrEnum):
    """READY answers from its indexes; DEGRADED rebuilds one and answers exactly, or cannot write.

    `CollectionInfo.state_reason` says which.
    """

    READY = "ready"
    DEGRADED = "degraded"


class SegmentState(StrEnum):
    """GROWING takes writes, BUILDING waits for its index, SEALED has it."""

    GROWING = "growing"
    BUILDING = "building"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class IndexParameters:
    """Parameters of index building; 0 means the recipe's default."""

    m: int = 0
    ef_construction: int = 0
    nlist: int = 0
    pq_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """Effort of a search; 0 means the collection's, else the recipe's default. Hashable."""

    ef: int = 0
    nprobe: int = 0
    rerank: int = 0
    exact: bool = False

    def over(self, default: "SearchParameters") -> "SearchParameters":
        """These, with zeros taken from `default`."""
        return SearchParameters(
            self.ef or default.ef,
            self.nprobe or default.nprobe,
            self.rerank or default.rerank,
            self.exact or default.exact,
        )


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """What a user decides about a collection. `model` and `space_id` are opaque here."""

    dim: int
    metric: Metric = Metric.COSINE
    recipe: str = "auto"
    model: str = ""
    space_id: str = ""
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    index: IndexParameters = IndexParameters()
    search: SearchParameters = SearchParameters()


@dataclass(frozen=True, slots=True)
class MeasuredEffort:
    """An effort and the share of the ten nearest neighbours that it found in one segment.

    Args:
        recall: mean over sampled rows; `low` and `high` are its 95 % confidence interval.
        samples: rows whose neighbours were searched.
    """

    effort: SearchParameters
    recall: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A part of a collection; `rows` counts tombstones too.

    Args:
        effort: the least that a search without parameters uses here; None where it is searched
            exactly, or was built before efforts were measured.
    """

    id: int
    state: SegmentState
    rows: int
    tombstones: int
    recipe: str
    effort: MeasuredEffort | None = None

    @property
    def recall(self) -> float | None:
        """recall@10 of the least effort; 1 where it is searched exactly, None if not measured."""
        if self.effort is not None:
            return self.effort.recall
        return 1.0 if self.recipe == "exact" else None


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as it is now; `created_ns` is Unix time.

    Args:
        write_fault: why the disk refused the last write; "" where it did not.
        failed_writes: writes that the disk refused since the collection was opened.
    """

    name: str
    spec: CollectionSpec
    recipe: str
    points: int
    version: int
    read_only: bool = False
    state: CollectionState = CollectionState.READY
    state_reason: str = ""
    segments: tuple[SegmentInfo, ...] = ()
    disk_bytes: int = 0
    memory_bytes: int = 0
    created_ns: int = 0
    write_fault: str = ""
    failed_writes: int = 0

    @property
    def default_recall(self) -> float | None:
        """Least recall@10 of searches without parameters, the segments' mean by live rows.

        None where a segment has not been measured, or the spec sets an effort itself.
        """
        if self.spec.search.exact:
            return 1.0
        if self.spec.search != SearchParameters():
            return None
        if not self.segments:
            return 1.0 if self.recipe == "exact" else None
        recalls = [segment.recall for segment in self.segments]
        if None in recalls:
            return None
        live = [segment.rows - segment.tombstones for segment in self.segments]
        hits = sum(recall * rows for recall, rows in zip(recalls, live, strict=True) if recall)
        return hits / sum(live) if any(live) else 1.0


@dataclass(frozen=True, slots=True)
class Points:
    """Points in columns; position i of each speaks of the same point.

    Args:
        vectors: float32 (n, dim); unit length under cosine; None where not asked for.
        payloads: JSON objects in UTF-8; None where not asked for, b"{}" where there is none.
        modalities: "text", "image", "key", "vector" or "".
    """

    ids: Sequence[str]
    vectors: FloatRows | None = None
    payloads: Sequence[bytes] | None = None
    modalities: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch of writes; `rejected` by position. On disk when it is returned."""

    written: int
    version: int
    rejected: Mapping[int, PointError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of points; `cursor` continues after it, "" at the end."""

    points: Points
    cursor: str


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """What one segment did for a search; `method` is "exact", "graph", "lists", ..."""

    segment: int
    method: str
    candidates: int
    ef: int = 0
    nprobe: int = 0
    search_ns: int = 0


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a search was carried out; `selectivity` is the share of points that pass the filter."""

    segments: tuple[SegmentPlan, ...] = ()
    selectivity: float = 1.0
    filter_ns: int = 0


@dataclass(frozen=True, slots=True)
class Hits:
    """Results of q queries in columns, best first, `counts[i]` of them for query i.

    Args:
        scores: float32 (sum of counts,), higher is better.
        counts: int64 (q,).
        points: ids, and payloads, vectors, modalities where asked for, in the same order.
        values: of the field that `SearchRequest.value_of` names, None where a point has none;
            None where not asked for.
    """

    points: Points
    scores: NDArray[np.float32]
    counts: NDArray[np.int64]
    plan: SearchPlan = SearchPlan()
    values: Sequence[object] | None = None
