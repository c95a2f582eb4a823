"""Inverted lists of one bit a number (Gao and Long, RaBitQ, 2024), re-ranked by full vectors."""

from typing import Any

from index.recipes.faiss_ivf import FaissIvf
from index.types import IndexParameters, SearchParameters
from index.untyped import faiss

_QUERY_BITS = 8


class RabitQ(FaissIvf):
    """The smallest codes: a bit a number and 20 bytes; needs no training beside the lists."""

    name = "rabitq"
    default_search = SearchParameters(rerank=300)
    default_index = IndexParameters()
    min_rows = 20_000
    lists_factor = 1.0
    probed_share = 0.1
    rerank = 300

    def codes(
        self, quantizer: Any, dim: int, nlist: int, metric: int, params: IndexParameters
    ) -> Any:
        """One bit a number."""
        return faiss.IndexIVFRaBitQ(quantizer, dim, nlist, metric)

    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """Probes of this search; queries keep 8 bits a number."""
        nprobe = min(effort.nprobe, index.nlist)
        return faiss.IVFRaBitQSearchParameters(nprobe=nprobe, qb=_QUERY_BITS, sel=selector)
