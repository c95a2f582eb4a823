"""Any FAISS index factory string, as "factory:STRING"."""

from typing import Any

from embedders.vectors import FloatRows
from index.errors import RecipeError, SpecError
from index.lists import CoarseLists
from index.recipes.faiss_index import FaissRecipe, faiss_metric
from index.recipes.faiss_ivf import lists_of_ivf, sample
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_TRAIN_ROWS = 262_144
_TRIAL_DIM = 64
_LISTS_FROM_ROWS = 20_000


class Factory(FaissRecipe):
    """Whatever FAISS makes of the string; `ef`, `nprobe` and `rerank` apply where they can.

    Args:
        name: "factory:" and the string.

    Raises:
        SpecError: FAISS does not know the string.
    """

    method = "factory"
    default_search = SearchParameters(ef=128, nprobe=32, rerank=100)
    default_index = IndexParameters()
    min_rows = 20_000

    def __init__(self, name: str) -> None:
        self.name, self._text = name, name.partition(":")[2]
        try:
            faiss.index_factory(_TRIAL_DIM, self._text)
        except RuntimeError as error:
            raise SpecError("recipe", f"FAISS refuses {self._text!r}: {_short(error)}") from error

    def make(self, rows: FloatRows, metric: Metric, params: IndexParameters) -> Any:
        """Trained on a sample where it needs training."""
        try:
            index = faiss.index_factory(rows.shape[1], self._text, faiss_metric(metric))
            if not index.is_trained:
                index.train(sample(rows, _TRAIN_ROWS))
        except RuntimeError as error:
            raise RecipeError(f"FAISS cannot build {self._text!r}: {_short(error)}") from error
        return index

    def effort(self, index: Any) -> SearchParameters:
        """Of what kind of index the string made."""
        kind = _kind(index)
        return SearchParameters(
            ef=self.default_search.ef if kind == "graph" else 0,
            nprobe=min(index.nlist, max(8, index.nlist // 10)) if kind == "lists" else 0,
            rerank=0 if _keeps_rows(index) else self.default_search.rerank,
        )

    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """Those of the outermost index that FAISS can be told about in a call."""
        kind = _kind(index)
        if kind == "graph":
            return faiss.SearchParametersHNSW(efSearch=max(effort.ef, k), sel=selector)
        if kind == "lists":
            nprobe = min(max(1, effort.nprobe), index.nlist)
            return faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)
        return faiss.SearchParameters(sel=selector) if selector is not None else None

    def lists_of(self, index: Any, rows: FloatRows, metric: Metric) -> CoarseLists | None:
        """The index's own, else trained ones for large segments."""
        if _kind(index) == "lists":
            return lists_of_ivf(index, metric)
        return CoarseLists.train(rows, metric) if len(rows) >= _LISTS_FROM_ROWS else None


def _kind(index: Any) -> str:
    if isinstance(index, faiss.IndexHNSW):
        return "graph"
    return "lists" if isinstance(index, faiss.IndexIVF) else "other"


def _keeps_rows(index: Any) -> bool:
    return isinstance(index, faiss.IndexFlat | faiss.IndexHNSWFlat | faiss.IndexIVFFlat)


def _short(error: RuntimeError) -> str:
    return str(error).rpartition("Error: ")[2].strip()[:200] or "unknown"
