"""What recipes over FAISS inverted files share: training on a sample, lists, probes."""

from abc import abstractmethod
from typing import Any

import numpy as np

from embedders.vectors import FloatRows
from index.recipes.faiss_index import FaissRecipe, faiss_metric
from index.search.frame import measured
from index.search.lists import CoarseLists
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_TRAIN_ROWS_PER_LIST = 64
_ROUNDS = 10


class FaissIvf(FaissRecipe):
    """An inverted file (Jégou and others, 2011); a subclass chooses the codes in its lists."""

    method = "lists"
    read_flags = int(faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    #: lists, as a multiple of the root of the rows, and the share of them that a search visits
    lists_factor = 2.0
    probed_share = 0.05
    rerank = 0

    def make(
        self,
        rows: FloatRows,
        metric: Metric,
        params: IndexParameters,
        centre: FloatRows | None,
    ) -> Any:
        """Trained on a sample."""
        wanted = params.nlist or round(self.lists_factor * len(rows) ** 0.5)
        nlist = max(1, min(wanted, len(rows)))
        dim = rows.shape[1]
        quantizer = faiss.IndexFlatIP(dim) if metric is Metric.COSINE else faiss.IndexFlatL2(dim)
        index = self.codes(quantizer, dim, nlist, faiss_metric(metric), params)
        quantizer.this.disown()
        index.own_fields = True
        index.cp.niter = _ROUNDS
        index.cp.min_points_per_centroid = 1
        index.cp.spherical = metric is Metric.COSINE
        count = max(nlist * _TRAIN_ROWS_PER_LIST, self.least_train_rows)
        index.train(sample(rows, count, centre))
        return index

    least_train_rows = 4096

    @abstractmethod
    def codes(
        self, quantizer: Any, dim: int, nlist: int, metric: int, params: IndexParameters
    ) -> Any:
        """The untrained FAISS index."""

    def effort(self, index: Any) -> SearchParameters:
        """A share of the lists, at least 8."""
        share = round(self.probed_share * index.nlist)
        return SearchParameters(nprobe=min(index.nlist, max(8, share)), rerank=self.rerank)

    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """Probes of this search."""
        return faiss.SearchParametersIVF(nprobe=min(effort.nprobe, index.nlist), sel=selector)

    def lists_of(
        self, index: Any, rows: FloatRows, metric: Metric, centre: FloatRows | None
    ) -> CoarseLists | None:
        """The index's own."""
        return lists_of_ivf(index, metric, centre)

    def memory_of(self, index: Any) -> int:
        """Codes, ids and centres."""
        return int(index.ntotal * (index.code_size + 8) + index.nlist * index.d * 4)


def sample(rows: FloatRows, count: int, centre: FloatRows | None = None) -> FloatRows:
    """At most `count` rows, chosen evenly by a fixed seed, measured from the centre, float32 and
    contiguous."""
    if len(rows) <= count:
        return measured(rows, centre)
    chosen = np.random.default_rng(0).choice(len(rows), count, replace=False)
    return measured(rows[np.sort(chosen)], centre)


def lists_of_ivf(index: Any, metric: Metric, centre: FloatRows | None = None) -> CoarseLists | None:
    """Centres and labels of a FAISS IVF; None where labels would not fit 16 bits."""
    if index.nlist > 1 << 16:
        return None
    labels = np.zeros(index.ntotal, dtype=np.uint16)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), size)
            labels[ids] = number
    return CoarseLists(index.quantizer.reconstruct_n(0, index.nlist), labels, metric, centre)
