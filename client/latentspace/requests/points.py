"""Requests about points."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from latentspace.calls import ClientOptions
from latentspace.chunks import split
from latentspace.errors import InvalidArgumentError
from latentspace.filters import FilterLike, filter_message
from latentspace.inputs import Input, checked_string, input_message, strings
from latentspace.payloads import Payload, dump_payload
from latentspace.requests.options import EmbedOptions, embed_options
from latentspace.sifting import Errors, Sieve, Sifted
from latentspace.v1 import collection_service_pb2, filter_pb2, types_pb2
from latentspace.vectors import pack

# Measured at 384 numbers a vector: 4 parts of 1024 under way at once are written fastest, and
# servers take at least so many items.
MAX_VECTORS = 1024
MAX_INPUTS = 256
MAX_IDS = 1024

# The largest payload is 64 KiB, so these stay under the default limit whatever is stored.
GET_ITEMS = 512
GET_ITEMS_WITH_VECTORS = 256


#: id, payload and, where no vector is written, the input
WritePart = tuple[str, bytes, types_pb2.Input | None]


@dataclass(frozen=True, slots=True)
class Writes:
    """Points of one call, checked as far as the client can.

    Args:
        positions: for each point its place in the caller's lists.
        errors: by place, of what cannot be sent: ids, payloads and rows that are none, and the
            second and later of equal ids, since parts under way at once would leave it to chance
            which of them stays.
    """

    ids: list[str]
    payloads: list[bytes]
    inputs: list[Input] | None
    rows: NDArray[Any] | None
    positions: list[int]
    errors: Errors = field(default_factory=dict)

    def sieve(self) -> Sieve[int, WritePart]:
        """What is sent of each point, where inputs that cannot be read fail alone."""
        return Sieve(range(len(self.ids)), self._part, "inputs")

    def _part(self, place: int) -> WritePart:
        item = None if self.inputs is None else input_message(self.inputs[place])
        return self.ids[place], self.payloads[place] if self.payloads else b"", item

    def placed(self, sifted: Sifted, errors: Errors) -> Errors:
        """All errors by the caller's places: of what was sent, of inputs, and of these."""
        sent = {self.positions[i]: error for i, error in sifted.placed(errors).items()}
        return dict(sorted((sent | self.errors).items()))


def writes_of(
    ids: Iterable[str],
    inputs: Iterable[Input] | None,
    rows: NDArray[Any] | None,
    payloads: Iterable[Payload | None] | None,
    bad_rows: Errors | None = None,
) -> Writes:
    """Checks the columns of an upsert; either `inputs` or `rows` is given.

    Raises:
        InvalidArgumentError: columns of different lengths, or no points.
    """
    # all is checked before the first part is sent: a mistake then leaves nothing half written
    if isinstance(ids, str | bytes):
        raise InvalidArgumentError(
            f"ids: expected a list of ids, got {ids!r:.80}; pass [{ids!r:.80}]"
        )
    names = list(ids)
    items = None if inputs is None else list(inputs)
    own = None if payloads is None else list(payloads)
    given = len(items) if items is not None else len(rows) if rows is not None else 0
    _check_lengths(len(names), given, None if own is None else len(own))
    dumped: dict[int, bytes] = {}
    errors: Errors = dict(bad_rows or {})
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if i in errors:
            continue
        try:
            _check_id(name, i, first)
            dumped[i] = b"" if own is None else dump_payload(own[i], f"payloads[{i}]")
        except InvalidArgumentError as error:
            errors[i] = error
    positions = list(dumped)
    return Writes(
        ids=[names[i] for i in positions],
        payloads=[] if own is None else list(dumped.values()),
        inputs=None if items is None else [items[i] for i in positions],
        rows=rows if rows is None or len(positions) == len(names) else rows[positions],
        positions=positions,
        errors=errors,
    )


def _check_id(name: object, position: int, first: dict[str, int]) -> None:
    field = f"ids[{position}]"
    known = first.setdefault(checked_string(name, field), position)
    if known != position:
        raise InvalidArgumentError(f"{field}: {name!r:.80} stands at position {known} already")


def upsert_requests(
    collection: str,
    writes: Writes,
    sieve: Sieve[int, WritePart],
    options: ClientOptions,
    *,
    embed: EmbedOptions | None = None,
    vector_name: str = "",
) -> Iterator[collection_service_pb2.UpsertPointsRequest]:
    """The parts of a write, made as they are asked for."""
    wire_options = embed_options(embed)
    start = 0
    for part in _write_parts(writes, sieve, options):
        rows = None if writes.rows is None else writes.rows[start : start + len(part)]
        yield collection_service_pb2.UpsertPointsRequest(
            collection=collection,
            points=collection_service_pb2.PointWrites(
                ids=[name for name, _, _ in part],
                vectors=None if rows is None else pack(rows),
                inputs=[item for _, _, item in part if item is not None],
                payloads=[payload for _, payload, _ in part] if writes.payloads else (),
                vector_name=vector_name,
                options=wire_options,
            ),
        )
        start += len(part)


def _write_parts(
    writes: Writes, sieve: Sieve[int, WritePart], options: ClientOptions
) -> Iterator[list[WritePart]]:
    row_bytes = 0 if writes.rows is None else writes.rows.shape[1] * writes.rows.itemsize
    return split(
        sieve,
        lambda item: (
            len(item[0]) + len(item[1]) + (row_bytes if item[2] is None else item[2].ByteSize())
        ),
        max_items=MAX_VECTORS if writes.inputs is None else MAX_INPUTS,
        chunk_bytes=options.chunk_bytes,
        max_bytes=options.max_message_bytes,
    )


def get_requests(
    collection: str,
    ids: Sequence[str],
    with_vectors: bool,
    with_payload: bool,
    ignore_missing: bool,
) -> Iterator[collection_service_pb2.GetPointsRequest]:
    """The parts of a list of ids."""
    step = GET_ITEMS_WITH_VECTORS if with_vectors else GET_ITEMS
    for part in _slices(ids, step):
        yield collection_service_pb2.GetPointsRequest(
            collection=collection,
            ids=part,
            with_vectors=with_vectors,
            without_payload=not with_payload,
            ignore_missing=ignore_missing,
        )


def delete_requests(
    collection: str, ids: str | Sequence[str] | None, filter: FilterLike | None
) -> Iterator[collection_service_pb2.DeletePointsRequest]:
    """By ids, in parts, or by filter, in one."""
    for part, tree in _selectors(ids, filter):
        yield collection_service_pb2.DeletePointsRequest(
            collection=collection, ids=part, filter=tree
        )


def payload_requests(
    collection: str,
    ids: str | Sequence[str] | None,
    filter: FilterLike | None,
    payload: Payload | None,
    replace: bool,
    remove_keys: str | Sequence[str],
) -> Iterator[collection_service_pb2.UpdatePayloadRequest]:
    """By ids, in parts, or by filter, in one."""
    data = b"" if payload is None else dump_payload(payload)
    for part, tree in _selectors(ids, filter):
        yield collection_service_pb2.UpdatePayloadRequest(
            collection=collection,
            ids=part,
            filter=tree,
            payload=data,
            replace=replace,
            remove_keys=strings(remove_keys, "remove_keys"),
        )


def _selectors(
    ids: str | Sequence[str] | None, filter: FilterLike | None
) -> Iterator[tuple[collection_service_pb2.IdList | None, filter_pb2.Filter | None]]:
    if (ids is None) == (filter is None):
        raise InvalidArgumentError("pass either ids= or filter=")
    if ids is None:
        tree = filter_message(filter)
        if tree is None:
            raise InvalidArgumentError(
                "filter: is empty, which would mean every point; name a condition"
            )
        yield None, tree
        return
    for part in _slices(strings(ids, "ids"), MAX_IDS):
        yield collection_service_pb2.IdList(ids=part), None


def _slices(ids: Sequence[str], step: int) -> Iterator[Sequence[str]]:
    if not ids:
        raise InvalidArgumentError("ids: is empty; pass at least one id")
    for start in range(0, len(ids), step):
        yield ids[start : start + step]


def _check_lengths(ids: int, given: int, payloads: int | None) -> None:
    if not ids:
        raise InvalidArgumentError("ids: is empty; pass at least one point")
    if ids != given:
        raise InvalidArgumentError(f"{ids} ids, but {given} vectors or inputs; pass one for each")
    if payloads not in (None, ids):
        raise InvalidArgumentError(
            f"{ids} ids, but {payloads} payloads; pass one for each, or none"
        )
