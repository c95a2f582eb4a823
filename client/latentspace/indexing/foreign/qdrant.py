"""Collections of Qdrant, on a server or in a folder of its local mode."""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any
from weakref import finalize

from latentspace.enums import FieldType
from latentspace.indexing.export_format import About
from latentspace.indexing.foreign.opening import (
    PAGE_TIMEOUT_S,
    Address,
    ForeignSource,
    check_reachable,
    failing_as,
    package,
    record_of,
    status_of,
    unknown_collection,
)
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record

METRICS = {"Cosine": "cosine", "Dot": "dot", "Euclid": "l2"}
# types of a payload index, and what of ours its values may be, the first where none is seen
FIELDS = {
    "keyword": (FieldType.KEYWORD, FieldType.KEYWORD_LIST),
    "integer": (FieldType.INT,),
    "float": (FieldType.FLOAT,),
    "bool": (FieldType.BOOL,),
    "datetime": (FieldType.DATETIME,),
}
FIELD_SAMPLE = 256
# Local mode sorts all ids for every page: few large ones are some times faster.
PAGE_NUMBERS, PAGE_POINTS = 2**20, 4096


class QdrantSource(ForeignSource):
    """The points of a collection, each with one dense vector and its payload.

    Sparse and multi-vectors beside it are left out. A folder is read by Qdrant's local mode, which
    unpickles its points: open only those that you trust.

    Raises:
        SourceError: not there, or without a dense vector of a metric of ours.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._collection = address.collection
        with ExitStack() as opened:
            self._client = _client(address)
            opened.callback(self._client.close)
            info = self._info()
            self._vector, params = _vector(info.config.params, address)
            self.about = About(
                self._collection,
                dim=params.size,
                metric=_metric(params, address),
                fields=self._fields(info.payload_schema or {}),
            )
            # also at the end of the process: later its own `__del__` finds no modules any more
            finalize(self, opened.pop_all().close)

    def count(self) -> int:
        """Points now.

        Raises:
            SourceError: the server is not there any more.
        """
        with failing_as(self._address, "its points cannot be counted"):
            points: int = self._client.count(self._collection, exact=True).count
        return points

    def __iter__(self) -> Iterator[Record | BadRecord]:
        wanted = [self._vector] if self._vector else True
        limit = max(1, min(PAGE_POINTS, PAGE_NUMBERS // self.dim))
        offset, read = None, 0
        while True:
            with failing_as(self._address, f"broke off after {read} points"):
                points, offset = self._client.scroll(
                    self._collection, limit=limit, offset=offset, with_vectors=wanted
                )
            read += len(points)
            yield from map(self._record, points)
            if offset is None:
                return

    def _record(self, point: Any) -> Record | BadRecord:
        vector = point.vector
        if isinstance(vector, dict):
            vector = vector.get(self._vector)
        place = f"qdrant {self._collection}/{point.id}"
        return record_of(place, point.id, vector, self.dim, point.payload)

    def _info(self) -> Any:
        with failing_as(self._address, "cannot be opened"):
            try:
                return self._client.get_collection(self._collection)
            except Exception as error:
                # local mode raises a ValueError
                if status_of(error) != 404 and not isinstance(error, ValueError):
                    raise
                found = self._client.get_collections().collections
                names = [one.name for one in found]
                raise unknown_collection(self._address, names) from None

    def _fields(self, indexes: dict[str, Any]) -> dict[str, str]:
        """Payload indexes whose values, as the first points have them, are of a type of ours."""
        kinds = {
            name: FIELDS[str(index.data_type.value)]
            for name, index in indexes.items()
            if index.data_type.value in FIELDS and _may_be_declared(name)
        }
        if not kinds:
            return {}
        with failing_as(self._address, "cannot be read"):
            points, _ = self._client.scroll(self._collection, limit=FIELD_SAMPLE)
        fields: dict[str, str] = {}
        for name, could_be in kinds.items():
            values = [(point.payload or {}).get(name) for point in points]
            seen = [value for value in values if value is not None]
            fitting = (kind for kind in could_be if all(_fits(value, kind) for value in seen))
            if kind := next(fitting, None):
                fields[name] = str(kind)
        return fields


def _client(address: Address) -> Any:
    qdrant = package("qdrant_client", "qdrant")
    if address.folder is None:
        check_reachable(address, "/")
        with failing_as(address, "cannot be opened"):
            return qdrant.QdrantClient(
                url=address.url,
                api_key=os.environ.get(address.key) or None,
                timeout=PAGE_TIMEOUT_S,
                check_compatibility=False,
            )
    if not (address.folder / "meta.json").is_file():
        raise SourceError(f"{address.source}: {address.folder} is not a folder of Qdrant's client")
    with failing_as(address, "cannot be opened"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is a large collection
        return qdrant.QdrantClient(path=str(address.folder), force_disable_check_same_thread=True)


def _vector(params: Any, address: Address) -> tuple[str, Any]:
    """Name ("" is the default's) and parameters of the vector that is read."""
    dense = params.vectors or {}
    if not isinstance(dense, dict):
        dense = {"": dense}
    multi = {name for name, one in dense.items() if one.multivector_config is not None}
    sparse = set(params.sparse_vectors or {})
    usable = [name for name in dense if name not in multi]
    asked = address.options.get("vector")
    if asked is None and len(usable) == 1:
        asked = usable[0]
    if asked is not None and asked in usable:
        return asked, dense[asked]
    names = ", ".join(map(repr, usable))
    if not usable:
        problem = "has sparse or multi-vectors only, which latentspace does not hold"
    elif asked is None:
        problem = f"has several vectors: add ?vector=NAME, one of {names}"
    elif asked in multi | sparse:
        kind = "a multi-vector" if asked in multi else "sparse"
        problem = f"the vector {asked!r} is {kind}, which latentspace does not hold; take {names}"
    else:
        problem = f"has no vector {asked!r}; there are: {names}"
    raise SourceError(f"{address.source}: {problem}")


def _metric(params: Any, address: Address) -> str:
    distance = str(params.distance.value)
    if distance not in METRICS:
        raise SourceError(
            f"{address.source}: vectors are compared by {distance} distance, which latentspace "
            f"does not have, so their neighbours would be others; it has {', '.join(METRICS)}"
        )
    return METRICS[distance]


def _may_be_declared(name: str) -> bool:
    """Paths into objects are no fields, and "modality" is every point's own."""
    return not set(name) & set('.[]"') and name != "modality" and 1 <= len(name.encode()) <= 128


def _fits(value: object, kind: FieldType) -> bool:
    match kind:
        case FieldType.KEYWORD:
            return isinstance(value, str)
        case FieldType.KEYWORD_LIST:
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case FieldType.INT:
            return type(value) is int and -(2**63) <= value < 2**63
        case FieldType.FLOAT:
            return type(value) in (int, float)
        case FieldType.BOOL:
            return isinstance(value, bool)
        case FieldType.DATETIME:
            return isinstance(value, str) and _is_moment(value)


def _is_moment(value: str) -> bool:
    try:
        return len(value) > 10 and datetime.fromisoformat(value).utcoffset() is not None
    except ValueError:
        return False
