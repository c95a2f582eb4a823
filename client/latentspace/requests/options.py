"""Options of embedding, searching and building, as plain dictionaries with known keys."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

from google.protobuf.message import Message

from latentspace.enums import Dtype, to_wire
from latentspace.errors import InvalidArgumentError
from latentspace.v1 import collection_service_pb2, types_pb2

M = TypeVar("M", bound=Message)


class EmbedOptions(TypedDict, total=False):
    """How an encoder works on a call.

    Keys:
        role: "query", "document" or another of the model's roles; "" is "document".
        compute_dtype: of the forward pass, "float32", "float16" or "bfloat16".
        dimensions: keep the first so many numbers and renormalise; 0 keeps all.
        refuse_truncation: refuse texts over the token limit instead of truncating them.
        cropped: images are crops already, nothing is detected in them.
        compose_unknown_keys: make up vectors of unknown keys where the model can.
    """

    role: str
    compute_dtype: Dtype | str
    dimensions: int
    refuse_truncation: bool
    cropped: bool
    compose_unknown_keys: bool


EMBED_KEYWORDS = frozenset(EmbedOptions.__annotations__)


class SearchParams(TypedDict, total=False):
    """Effort of a search; what is absent is the collection's, else the recipe's default.

    Keys:
        ef: HNSW candidates, for the whole collection.
        nprobe: IVF lists visited.
        rerank: candidates rescored with their full vectors.
        exact: compare with every point.
    """

    ef: int
    nprobe: int
    rerank: int
    exact: bool


class IndexParams(TypedDict, total=False):
    """Parameters of index building; what is absent is the recipe's default.

    Keys:
        m: HNSW links a node.
        ef_construction: HNSW candidates while building.
        nlist: IVF lists.
        pq_bytes: bytes a code of the product quantiser.
    """

    m: int
    ef_construction: int
    nlist: int
    pq_bytes: int


def embed_options(options: EmbedOptions | None) -> types_pb2.EmbedOptions | None:
    """The wire form; None where nothing is asked for."""
    if not options:
        return None
    plain: dict[str, Any] = dict(options)
    if "compute_dtype" in plain:
        plain["compute_dtype"] = to_wire(Dtype, plain["compute_dtype"], "compute_dtype")
    return _filled(types_pb2.EmbedOptions, plain, "options")


def search_params(
    params: SearchParams | None, name: str = "params"
) -> collection_service_pb2.SearchParameters | None:
    """The wire form; None where nothing is asked for."""
    return _filled(collection_service_pb2.SearchParameters, params, name) if params else None


def index_params(
    params: IndexParams | None, name: str = "index"
) -> collection_service_pb2.IndexParameters | None:
    """The wire form; None where nothing is asked for."""
    return _filled(collection_service_pb2.IndexParameters, params, name) if params else None


def _filled(kind: type[M], values: Mapping[str, Any], name: str) -> M:
    known = kind.DESCRIPTOR.fields_by_name
    for key in values:
        if key not in known:
            raise InvalidArgumentError(f"{name}: unknown key {key!r}; one of {', '.join(known)}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{name}: {dict(values)!r:.200} does not fit ({error})"
        ) from error
