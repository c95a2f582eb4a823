"""Inverted lists of full vectors: FAISS IndexIVFFlat."""

from typing import Any

from index.recipes.faiss_ivf import FaissIvf
from index.types import IndexParameters, SearchParameters
from index.untyped import faiss


class Ivf(FaissIvf):
    """Exact within the lists visited; builds fast, searches slower than a graph."""

    name = "ivf"
    default_search = SearchParameters()
    default_index = IndexParameters()
    min_rows = 2000

    def codes(
        self, quantizer: Any, dim: int, nlist: int, metric: int, params: IndexParameters
    ) -> Any:
        """Rows as they are."""
        return faiss.IndexIVFFlat(quantizer, dim, nlist, metric)
