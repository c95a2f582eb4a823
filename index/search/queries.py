"""Queries made ready: checked, and scaled as the collection's rows are."""

import numpy as np

from embedders.vectors import FloatRows
from index.base import SearchRequest
from index.errors import QueryError
from index.store.accept import Rejected, scale_rows
from index.types import CollectionSpec

MAX_K = 10_000


def ready_queries(request: SearchRequest, spec: CollectionSpec) -> FloatRows:
    """Queries float32 (q, dim) of a request.

    Raises:
        QueryError: another shape, not finite, zero under cosine; or k out of range.
    """
    if not 1 <= request.k <= MAX_K:
        raise QueryError("k", f"k must be 1 to {MAX_K}, not {request.k}")
    queries: FloatRows = np.ascontiguousarray(request.queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != spec.dim:
        raise QueryError(
            "vectors", f"queries have shape {queries.shape}; dimension {spec.dim} is needed"
        )
    rejected: Rejected = {}
    queries = scale_rows(queries, spec, rejected)
    if rejected:
        position, error = min(rejected.items())
        raise QueryError("vectors", f"query {position}: {error}")
    return queries
