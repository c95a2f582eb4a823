"""Requests of imports: streams of points."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from latentspace.calls import ClientOptions
from latentspace.chunks import split
from latentspace.enums import Modality, to_wire
from latentspace.errors import InvalidArgumentError
from latentspace.inputs import Input, VectorInput, checked_string, input_message
from latentspace.payloads import Payload, dump_payload
from latentspace.requests.options import EmbedOptions, embed_options
from latentspace.sifting import Sieve
from latentspace.spaces import common_space
from latentspace.v1 import collection_service_pb2, types_pb2
from latentspace.vectors import as_rows, pack


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A point to be written: a vector, or an input that the collection's model embeds."""

    id: str
    input: Input
    payload: Payload | None = None


Ready = tuple[str, bytes, types_pb2.Input | VectorInput]
PointSieve = Sieve[NewPoint, Ready]


def sifted_points(points: Iterable[NewPoint]) -> PointSieve:
    """Points as they are sent, where those that cannot be fail alone."""
    return Sieve(points, _ready, "points")


def import_requests(
    collection: str,
    points: PointSieve,
    embed: EmbedOptions | None,
    options: ClientOptions,
    batch_items: int,
) -> Iterator[collection_service_pb2.ImportPointsRequest]:
    """The batches of an import, made as they are asked for; vectors and others go apart.

    Raises:
        InvalidArgumentError: `batch_items` is not positive.
    """
    if batch_items < 1:
        raise InvalidArgumentError(f"batch_items: expected at least 1, got {batch_items!r}")
    number = 0
    for shape, run in groupby(points, _shape):
        for part in split(
            run,
            _size,
            max_items=batch_items,
            chunk_bytes=options.chunk_bytes,
            max_bytes=options.max_message_bytes,
        ):
            writes = _writes(part, vectors=shape is not None, embed=embed)
            yield collection_service_pb2.ImportPointsRequest(
                collection=collection, points=writes, batch_id=number
            )
            number += 1


def _shape(ready: Ready) -> tuple[int, str] | None:
    """Equal for points of one batch: dimension and space of a vector; None for other inputs."""
    given = ready[2]
    if not isinstance(given, VectorInput):
        return None
    return len(given.values), given.space_id or common_space([given.values])


def _ready(point: NewPoint) -> Ready:
    if not isinstance(point, NewPoint):
        raise InvalidArgumentError(f"expected a NewPoint, got {point!r:.80}")
    given = point.input
    item = given if isinstance(given, VectorInput) else input_message(given)
    return checked_string(point.id, "id"), dump_payload(point.payload), item


def _size(ready: Ready) -> int:
    name, payload, item = ready
    size = item.values.nbytes if isinstance(item, VectorInput) else item.ByteSize()
    return len(name) + len(payload) + size


def _writes(
    part: list[Ready], *, vectors: bool, embed: EmbedOptions | None
) -> collection_service_pb2.PointWrites:
    writes = collection_service_pb2.PointWrites(
        ids=[name for name, _, _ in part], payloads=[payload for _, payload, _ in part]
    )
    if vectors:
        rows = [item for _, _, item in part if isinstance(item, VectorInput)]
        values = as_rows([row.values for row in rows], space_id=rows[0].space_id)
        writes.vectors.CopyFrom(pack(values))
        if any(row.modality for row in rows):
            known = (to_wire(Modality, row.modality, "modality") for row in rows)
            writes.modalities.extend(known)
    else:
        writes.inputs.extend(item for _, _, item in part if isinstance(item, types_pb2.Input))
        if (wanted := embed_options(embed)) is not None:
            writes.options.CopyFrom(wanted)
    return writes
