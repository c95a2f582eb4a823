"""Graph search (Malkov and Yashunin, 2018): FAISS IndexHNSWFlat over the segment's own rows."""

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from embedders.vectors import FloatRows
from index.recipes.faiss_index import FaissRecipe, faiss_metric
from index.search.lists import CoarseLists
from index.search.walk import Links
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_LISTS_FROM_ROWS = 20_000
# ef 128 found 0.978 of the ten nearest among 100,000 MiniLM vectors, 0.966 among 200,000 and
# 0.944 among 500,000: from here on it grows with the root of the rows
_EF_HOLDS_ROWS, _EF_POWER = 125_000, 0.5


class Hnsw(FaissRecipe):
    """M 32, efConstruction 40. File and memory hold the graph alone: rows are the row file's."""

    name = "hnsw"
    method = "graph"
    default_search = SearchParameters(ef=128)
    default_index = IndexParameters(m=32, ef_construction=40)
    min_rows = 2000
    write_flags = int(faiss.IO_FLAG_SKIP_STORAGE)
    read_flags = int(faiss.IO_FLAG_MMAP_IFC)
    own_rows = False

    def make(
        self,
        rows: FloatRows,
        metric: Metric,
        params: IndexParameters,
        centre: FloatRows | None,
    ) -> Any:
        """An empty graph."""
        links = params.m or self.default_index.m
        index = faiss.IndexHNSWFlat(rows.shape[1], links, faiss_metric(metric))
        index.hnsw.efConstruction = params.ef_construction or self.default_index.ef_construction
        return index

    def effort(self, index: Any) -> SearchParameters:
        """More where the graph is large."""
        growth = max(1.0, index.ntotal / _EF_HOLDS_ROWS) ** _EF_POWER
        return replace(self.default_search, ef=ceil(self.default_search.ef * growth))

    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """ef of this search."""
        return faiss.SearchParametersHNSW(efSearch=max(effort.ef, k), sel=selector)

    def attach(self, index: Any, rows: FloatRows) -> Any:
        """Puts the rows, wherever they are mapped, in the place of FAISS's own copy."""
        storage = faiss.IndexFlat(index.d, index.metric_type)
        data = np.asarray(rows)
        # a view needs an owner that FAISS frees; an empty vector's owner is null, so none is
        nobody = faiss.MaybeOwnedVectorUInt8()
        storage.codes = faiss.MaybeOwnedVectorUInt8.create_view(
            faiss.swig_ptr(data), data.nbytes, nobody.owner
        )
        storage.ntotal = len(rows)
        storage.referenced_objects = [data]
        if index.own_fields and index.storage is not None:
            index.storage.this.own(True)
        index.storage, index.own_fields = storage, False
        index.referenced_objects = [storage]
        return index

    def links_of(self, index: Any) -> Links | None:
        """Level 0."""
        graph = index.hnsw
        return Links(
            faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size()),
            faiss.rev_swig_ptr(graph.offsets.data(), graph.offsets.size()),
            graph.nb_neighbors(0),
        )

    def lists_of(
        self, index: Any, rows: FloatRows, metric: Metric, centre: FloatRows | None
    ) -> CoarseLists | None:
        """For large segments."""
        return CoarseLists.train(rows, metric) if len(rows) >= _LISTS_FROM_ROWS else None

    def memory_of(self, index: Any) -> int:
        """The links."""
        return int(index.ntotal * (2 * index.hnsw.nb_neighbors(1) * 4 + 16))
