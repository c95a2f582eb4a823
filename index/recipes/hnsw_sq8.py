"""A graph over one byte a number, re-ranked by full vectors: FAISS IndexHNSWSQ."""

from typing import Any

from embedders.vectors import FloatRows
from index.recipes.faiss_index import faiss_metric
from index.recipes.faiss_ivf import sample
from index.recipes.hnsw import Hnsw
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_TRAIN_ROWS = 65_536


class HnswSq8(Hnsw):
    """Searches touch a quarter of `hnsw`'s memory; the full rows are read to re-rank alone."""

    name = "hnsw_sq8"
    default_search = SearchParameters(ef=128, rerank=40)
    write_flags = 0
    own_rows = True

    def make(
        self,
        rows: FloatRows,
        metric: Metric,
        params: IndexParameters,
        centre: FloatRows | None,
    ) -> Any:
        """An empty graph whose quantiser knows the ranges of a sample."""
        links = params.m or self.default_index.m
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(rows.shape[1], kind, links, faiss_metric(metric))
        index.hnsw.efConstruction = params.ef_construction or self.default_index.ef_construction
        index.train(sample(rows, _TRAIN_ROWS, centre))
        return index

    def attach(self, index: Any, rows: FloatRows) -> Any:
        """It has codes of its own."""
        return index

    def memory_of(self, index: Any) -> int:
        """Links and codes."""
        return super().memory_of(index) + int(index.ntotal * index.d)
