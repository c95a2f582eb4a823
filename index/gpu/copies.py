"""Which recipes can live on a GPU, and what goes there for each.

- exact: the rows;
- ivf: the inverted lists as they are;
- ivf_pq: the same coarse lists, with 8-bit codes of residuals that take as many bytes a row, since
  FAISS has no 4-bit fast scan there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedders.vectors import FloatRows
from index.recipes.base import SegmentIndex
from index.recipes.faiss_index import FaissIndex, faiss_metric
from index.recipes.faiss_ivf import sample
from index.types import Metric
from index.untyped import faiss

# codes that faiss/gpu/impl/IVFPQ.cu has kernels for, in bytes
_CODE_BYTES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 48, 56, 64, 96)
_CODE_BITS = 8
_TRAIN_ROWS = 32_768
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Source:
    """A segment and its index, None where it is searched exactly."""

    index: SegmentIndex | None
    rows: FloatRows
    metric: Metric


@dataclass(frozen=True, slots=True)
class Capability:
    """What a recipe can do on a GPU.

    Args:
        metrics: under which it can live there.
        seed: the CPU index that is copied there, None if this one cannot be.
        adds_rows: whether the rows are added to it there; else they are in it.
        small_tables: 16-bit lookup tables, so that codes of 96 bytes fit shared memory.
    """

    metrics: frozenset[Metric]
    seed: Callable[[Source], Any]
    adds_rows: bool = False
    small_tables: bool = False


def flat(source: Source) -> Any:
    """An empty flat index."""
    return faiss.IndexFlat(source.rows.shape[1], faiss_metric(source.metric))


def as_it_is(source: Source) -> Any:
    """The index itself."""
    return source.index.index if isinstance(source.index, FaissIndex) else None


def residual_codes(source: Source) -> Any:
    """An empty IVF-PQ over the same centres, its codes trained on residuals (Jégou, 2011)."""
    host = source.index
    if not isinstance(host, FaissIndex) or host.lists is None:
        return None
    dim, centers = source.rows.shape[1], np.ascontiguousarray(host.lists.centers)
    metric = faiss_metric(source.metric)
    quantizer = faiss.IndexFlat(dim, metric)
    quantizer.add(centers)
    pieces = pieces_of(dim, host.index.code_size)
    index = faiss.IndexIVFPQ(quantizer, dim, len(centers), pieces, _CODE_BITS, metric)
    quantizer.this.disown()
    index.own_fields = True
    index.pq.cp.niter = _ROUNDS
    # the GPU makes no use of this table
    index.use_precomputed_table = -1
    index.train(sample(source.rows, _TRAIN_ROWS, host.centre))
    return index


def pieces_of(dim: int, wanted: int) -> int:
    """The most pieces of a row, a byte each and not above `wanted`, that a GPU has kernels for."""
    return max((n for n in _CODE_BYTES if n <= wanted and dim % n == 0), default=1)


#: by recipe; IVF-PQ assigns by the index's own metric there, but the recipe by l2 under dot
CAPABILITIES: Mapping[str, Capability] = {
    "exact": Capability(frozenset(Metric), flat, adds_rows=True),
    "ivf": Capability(frozenset(Metric), as_it_is),
    "ivf_pq": Capability(
        frozenset({Metric.COSINE, Metric.L2}), residual_codes, adds_rows=True, small_tables=True
    ),
}
