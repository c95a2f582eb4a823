"""A FAISS index factory string, as "factory:STRING"."""

from typing import Any

import numpy as np

from embedders.vectors import FloatRows
from index.errors import SpecError
from index.recipes.factory_grammar import check_factory_string
from index.recipes.faiss_index import FaissRecipe, faiss_metric
from index.recipes.faiss_ivf import lists_of_ivf, sample
from index.search.lists import CoarseLists
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_TRAIN_ROWS = 262_144
# a string may ask for a multiple of its own number; one of these has most divisors
_TRIAL_DIMS = (64, 420, 768, 1000, 1024)
_LISTS_FROM_ROWS = 20_000
_EXACT = (faiss.IndexFlat, faiss.IndexHNSWFlat, faiss.IndexIVFFlat)
_REFUSED = (faiss.IndexIDMap, faiss.IndexIDMap2)


class Factory(FaissRecipe):
    """What FAISS makes of a string of `factory_grammar`.

    `ef`, `nprobe` and `rerank` apply where they can.

    Args:
        name: "factory:" and the string.

    Raises:
        SpecError: the string is not one that is served, or FAISS refuses it.
    """

    method = "factory"
    default_search = SearchParameters(ef=128, nprobe=32, rerank=100)
    default_index = IndexParameters()
    min_rows = 20_000

    def __init__(self, name: str) -> None:
        self.name, self._text = name, name.partition(":")[2]
        check_factory_string(self._text)
        trial = _trial(self._text)
        if isinstance(trial, _REFUSED):
            raise SpecError("recipe", f"{self._text!r}: a segment's rows have ids of their own")

    def make(
        self,
        rows: FloatRows,
        metric: Metric,
        params: IndexParameters,
        centre: FloatRows | None,
    ) -> Any:
        """Trained on a sample where it needs training."""
        index = faiss.index_factory(rows.shape[1], self._text, faiss_metric(metric))
        if not index.is_trained:
            index.train(sample(rows, _TRAIN_ROWS, centre))
        return index

    def effort(self, index: Any) -> SearchParameters:
        """Of what kind of index the string made."""
        inner = _inner(index)
        graph, lists = isinstance(inner, faiss.IndexHNSW), isinstance(inner, faiss.IndexIVF)
        return SearchParameters(
            ef=self.default_search.ef if graph else 0,
            nprobe=min(inner.nlist, max(8, inner.nlist // 10)) if lists else 0,
            rerank=0 if isinstance(index, _EXACT) else self.default_search.rerank,
        )

    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """For each layer of the index what FAISS can be told about it in a call."""
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            inner = self.parameters(index.index, effort, k, selector)
            return faiss.SearchParametersPreTransform(index_params=inner)
        if isinstance(index, faiss.IndexRefine):
            inner = self.parameters(index.base_index, effort, k, selector)
            return faiss.IndexRefineSearchParameters(k_factor=1.0, base_index_params=inner)
        if isinstance(index, faiss.IndexHNSW):
            return faiss.SearchParametersHNSW(efSearch=max(effort.ef, k), sel=selector)
        if isinstance(index, faiss.IndexIVFRaBitQ):
            return faiss.IVFRaBitQSearchParameters(nprobe=_probes(index, effort), sel=selector)
        if isinstance(index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(nprobe=_probes(index, effort), sel=selector)
        return None if selector is None else faiss.SearchParameters(sel=selector)

    def filters_of(self, index: Any) -> bool:
        """Whether such an index takes a selector: it is tried."""
        query = np.zeros((1, index.d), dtype=np.float32)
        selector = faiss.IDSelectorRange(0, 1)
        try:
            index.search(query, 1, params=self.parameters(index, self.effort(index), 1, selector))
        except RuntimeError:
            return False
        return True

    def chunk_rows(self, index: Any, rows: int) -> int:
        """NSG wants all rows at once."""
        return rows if isinstance(index, faiss.IndexNSG) else super().chunk_rows(index, rows)

    def lists_of(
        self, index: Any, rows: FloatRows, metric: Metric, centre: FloatRows | None
    ) -> CoarseLists | None:
        """The index's own, else trained ones for large segments."""
        if isinstance(index, faiss.IndexIVF):
            return lists_of_ivf(index, metric, centre)
        return CoarseLists.train(rows, metric) if len(rows) >= _LISTS_FROM_ROWS else None


def _trial(text: str) -> Any:
    message = ""
    for dim in _TRIAL_DIMS:
        try:
            return faiss.index_factory(dim, text)
        except RuntimeError as error:
            message = _short(error)
    raise SpecError("recipe", f"FAISS refuses {text!r}: {message}")


def _inner(index: Any) -> Any:
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return _inner(index.index)
    return _inner(index.base_index) if isinstance(index, faiss.IndexRefine) else index


def _probes(index: Any, effort: SearchParameters) -> int:
    return int(min(max(1, effort.nprobe), index.nlist))


def _short(error: RuntimeError) -> str:
    return str(error).rpartition("Error: ")[2].strip()[:200] or "unknown"
