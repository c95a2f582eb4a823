"""Inverted lists of one byte a number, re-ranked by full vectors: IndexIVFScalarQuantizer."""

from typing import Any

from index.recipes.faiss_ivf import FaissIvf
from index.types import IndexParameters, SearchParameters
from index.untyped import faiss


class IvfSq8(FaissIvf):
    """A quarter of `ivf`'s memory."""

    name = "ivf_sq8"
    default_search = SearchParameters(rerank=40)
    default_index = IndexParameters()
    min_rows = 2000
    rerank = 40

    def codes(
        self, quantizer: Any, dim: int, nlist: int, metric: int, params: IndexParameters
    ) -> Any:
        """8 bits a number, of rows rather than residuals."""
        kind = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(quantizer, dim, nlist, kind, metric, False)
