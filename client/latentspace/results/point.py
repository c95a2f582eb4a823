"""Points, and what became of writes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from latentspace.enums import Modality, from_wire
from latentspace.errors import LatentspaceError
from latentspace.payloads import load_payload
from latentspace.results.listing import Listing, html_or_nothing
from latentspace.results.timing import NO_TIMING, Timing
from latentspace.sifting import Sifted
from latentspace.spaces import Embeddings
from latentspace.status import item_errors
from latentspace.v1 import collection_service_pb2
from latentspace.vectors import unpack


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A stored point; `vector` float32 (dim,) and `payload` are None where not asked for."""

    id: str
    vector: Embeddings | None = field(default=None, repr=False)
    payload: dict[str, Any] | None = None
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of points; `next_page_token` is "" at the end."""

    points: list[Point]
    next_page_token: str

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def _repr_html_(self) -> str:
        return html_or_nothing(self)


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What became of a write.

    Args:
        written: points that are on disk now.
        version: version of the collection that holds them.
        errors: positions of the points that were refused, and why.
    """

    written: int
    version: int
    errors: Mapping[int, LatentspaceError] = field(default_factory=dict)
    timing: Timing = NO_TIMING


@dataclass(frozen=True, slots=True)
class UpsertedBatch:
    """What became of a batch of a stream.

    Args:
        ids: of the batch, in order.
        written: points that are on disk now.
        errors: positions of the points that were refused, and why.
    """

    ids: tuple[str, ...]
    written: int
    version: int
    errors: Mapping[int, LatentspaceError] = field(default_factory=dict)

    @classmethod
    def from_message(
        cls,
        ids: Iterable[str],
        message: collection_service_pb2.ImportPointsResponse,
        sifted: Sifted,
    ) -> Self:
        """From the wire."""
        names = tuple(ids)
        errors = sifted.placed(item_errors([(len(sifted.places), message)]))
        return cls(names, message.written, message.version, errors)


def points_of(batch: collection_service_pb2.PointBatch) -> Listing[Point]:
    """Points from the columns of the wire."""
    ids = batch.ids
    vectors = unpack(batch.vectors) if batch.HasField("vectors") and batch.vectors.count else None
    payloads = batch.payloads
    modalities = batch.modalities
    return Listing(
        Point(
            id=ids[i],
            vector=None if vectors is None else vectors[i],
            payload=load_payload(payloads[i]) if payloads else None,
            modality=from_wire(Modality, modalities[i]) if modalities else None,
        )
        for i in range(len(ids))
    )
