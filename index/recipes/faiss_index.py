"""What recipes over FAISS share: building in chunks, searching, masks, files."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import RecipeError
from index.recipes.base import BuildContext, Recipe, RowMask, SegmentIndex
from index.search.candidates import rescore, true_scores
from index.search.exact import search_exact
from index.search.frame import index_centre, measured
from index.search.lists import CoarseLists
from index.search.top import Positions, Scores, best_of
from index.search.walk import Links
from index.threads import faiss_threads
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

_CHUNK_ROWS = 4096


class FaissIndex(SegmentIndex):
    """A FAISS index over the rows of a segment.

    Searches pass their effort as parameter objects and never set it on the index, so that
    many threads can search at once.

    Args:
        data: float32 (n, d), the rows as they are.
        centre: float32 (d,), what the index's rows, and under l2 its queries, are measured from;
            None is the origin.
    """

    def __init__(
        self,
        recipe: "FaissRecipe",
        index: Any,
        data: FloatRows,
        metric: Metric,
        lists: CoarseLists | None,
        centre: FloatRows | None = None,
    ) -> None:
        self.centre = centre
        self.method, self.rows, self.lists = recipe.method, int(index.ntotal), lists
        self.index, self.data, self.metric, self._recipe = index, data, metric, recipe
        self.links = recipe.links_of(index)
        self.default_search, self.filters = recipe.effort(index), recipe.filters_of(index)
        self.memory_bytes = recipe.memory_of(index) + (lists.memory_bytes if lists else 0)

    def search(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask | None = None,
    ) -> tuple[Scores, Positions]:
        """See `SegmentIndex.search`."""
        if mask is not None and not self.filters:
            return search_exact(self.data, queries, k, self.metric, mask=mask)
        return self._search(queries, k, params, mask, None)

    def search_lists(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask,
        chosen: NDArray[np.int64],
    ) -> tuple[Scores, Positions]:
        """See `SegmentIndex.search_lists`."""
        if self.method != "lists" or self.lists is None:
            return super().search_lists(queries, k, params, mask, chosen)
        effort = replace(params, nprobe=chosen.shape[1])
        return self._search(queries, k, effort, mask, np.ascontiguousarray(chosen))

    def _search(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask | None,
        chosen: NDArray[np.int64] | None,
    ) -> tuple[Scores, Positions]:
        effort = params.over(self.default_search)
        rerank = effort.rerank if self.default_search.rerank else 0
        wanted = min(max(k, rerank), self.rows)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        given = self._recipe.parameters(self.index, effort, wanted, _selector(mask))
        near = measured(queries, self.centre if self.metric is Metric.L2 else None)
        if chosen is None or self.lists is None:
            scores, positions = self.index.search(near, wanted, params=given)
        else:
            scores, positions = _search_chosen(self.index, self.lists, near, wanted, chosen, given)
        if self.metric is Metric.DOT and self.centre is not None:
            # float32 products of the rows as they are would lose what they differ by
            exact = true_scores(self.data, queries, positions, self.metric)
            return best_of(exact, positions, k)
        if rerank:
            return rescore(self.data, queries, positions, k, self.metric)
        if self.metric is Metric.L2:
            scores = -scores
        scores[positions < 0] = -np.inf
        return _padded(scores, positions, k)

    def save(self, path: Path) -> None:
        """One file: the FAISS index, then the coarse lists where there are any."""
        try:
            flags = self._recipe.write_flags if self.centre is None else 0
            faiss.write_index(self.index, str(path), flags)
        except RuntimeError as error:
            raise OSError(str(error)) from error
        if self.lists or self.centre is not None:
            lists = self.lists or CoarseLists.none(self.metric, self.centre)
            lists.append_to(path)


class FaissRecipe(Recipe):
    """A recipe over FAISS; a subclass says how its index is made and searched."""

    method: str
    write_flags = 0
    read_flags = 0
    #: whether the index always keeps rows of its own
    own_rows = True

    def build(
        self, rows: FloatRows, metric: Metric, params: IndexParameters, context: BuildContext
    ) -> FaissIndex:
        """Trains where needed and adds the rows chunk by chunk.

        Rows far from the origin are measured from their centre: products of rows as they are lose
        what they differ by, and links by dot would all lead to the longest rows.
        """
        centre = index_centre(rows, metric) if self._centres(metric) else None
        with faiss_threads(context.threads):
            context.check(0, len(rows))
            with faiss_errors(self.name):
                index = self.make(rows, metric, params, centre)
            self._add(index, rows, centre, context)
            lists = self.lists_of(index, rows, metric, centre)
        return self._finished(index, rows, metric, lists, centre)

    def load(self, path: Path, rows: FloatRows, metric: Metric) -> FaissIndex:
        """Reads what `save` wrote.

        Raises:
            RecipeError: not such a file, or of another number of rows or dimension.
        """
        try:
            index = faiss.read_index(str(path), self.read_flags)
        except RuntimeError as error:
            raise RecipeError(f"{path}: not an index of recipe {self.name}: {error}") from error
        if (index.ntotal, index.d) != rows.shape:
            raise RecipeError(f"{path}: {index.ntotal} x {index.d}, but rows are {rows.shape}")
        lists = CoarseLists.read_from(path, metric)
        centre = None if lists is None else lists.centre
        old = centre is None and (self._centres(metric) or lists is not None)
        if old and index_centre(rows, metric) is not None:
            raise RecipeError(f"{path}: made by a version that measured all rows from the origin")
        if lists is not None and not len(lists.centers):
            lists = None
        return self._finished(index, rows, metric, lists, centre if self._centres(metric) else None)

    def _centres(self, metric: Metric) -> bool:
        """Whether rows may be measured from their centre; FAISS takes l2 along a graph over the
        rows as they are by differences, which lose nothing."""
        return metric is Metric.DOT or (metric is Metric.L2 and self.own_rows)

    def _finished(
        self,
        index: Any,
        rows: FloatRows,
        metric: Metric,
        lists: CoarseLists | None,
        centre: FloatRows | None,
    ) -> FaissIndex:
        # rows measured from a centre are the index's own
        attached = self.attach(index, rows) if centre is None else index
        return FaissIndex(self, attached, rows, metric, lists, centre)

    def _add(
        self, index: Any, rows: FloatRows, centre: FloatRows | None, context: BuildContext
    ) -> None:
        step = max(1, self.chunk_rows(index, len(rows)))
        for start in range(0, len(rows), step):
            with faiss_errors(self.name):
                index.add(measured(rows[start : start + step], centre))
            context.check(min(start + step, len(rows)), len(rows))

    @abstractmethod
    def make(
        self,
        rows: FloatRows,
        metric: Metric,
        params: IndexParameters,
        centre: FloatRows | None,
    ) -> Any:
        """A trained, empty index for these rows, measured from the centre."""

    @abstractmethod
    def effort(self, index: Any) -> SearchParameters:
        """Default effort for an index of this size."""

    @abstractmethod
    def parameters(self, index: Any, effort: SearchParameters, k: int, selector: Any) -> Any:
        """FAISS parameters of one search."""

    def filters_of(self, index: Any) -> bool:
        """Whether such an index takes a selector."""
        return True

    def chunk_rows(self, index: Any, rows: int) -> int:
        """Rows added between two looks at whether to go on."""
        return _CHUNK_ROWS

    def links_of(self, index: Any) -> Links | None:
        """The graph, where there is one."""
        return None

    def attach(self, index: Any, rows: FloatRows) -> Any:
        """Lets an index read `rows` where it keeps no copy of its own."""
        return index

    def lists_of(
        self, index: Any, rows: FloatRows, metric: Metric, centre: FloatRows | None
    ) -> CoarseLists | None:
        """Coarse lists for filtered searches, where they pay."""
        return None

    def memory_of(self, index: Any) -> int:
        """Bytes of the index, estimated, without the rows it shares."""
        return int(index.ntotal * index.d * 4)


@contextmanager
def faiss_errors(name: str) -> Iterator[None]:
    """Turns what FAISS raises into RecipeError."""
    try:
        yield
    except RuntimeError as error:
        raise RecipeError(f"recipe {name!r} cannot be built: {error}") from error


def faiss_metric(metric: Metric) -> int:
    """FAISS's number for a metric."""
    return int(faiss.METRIC_INNER_PRODUCT if metric.inner_product else faiss.METRIC_L2)


def _selector(mask: RowMask | None) -> Any:
    if mask is None:
        return None
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
    selector.referenced_objects = [bits]
    return selector


def _padded(
    scores: NDArray[np.float32], positions: NDArray[np.int64], k: int
) -> tuple[Scores, Positions]:
    missing = k - scores.shape[1]
    if missing <= 0:
        return scores, positions
    width = ((0, 0), (0, missing))
    return (
        np.pad(scores, width, constant_values=-np.inf),
        np.pad(positions, width, constant_values=-1),
    )


def _search_chosen(
    index: Any,
    lists: CoarseLists,
    queries: FloatRows,
    k: int,
    chosen: NDArray[np.int64],
    parameters: Any,
) -> tuple[Scores, Positions]:
    """An IVF over its lists (q, p); the Python wrapper of this call takes no parameters."""
    near = _quantised(index, lists.centers, queries, chosen)
    scores = np.empty((len(queries), k), dtype=np.float32)
    positions = np.empty((len(queries), k), dtype=np.int64)
    arrays = [faiss.swig_ptr(array) for array in (queries, chosen, near, scores, positions)]
    asked, numbers, distances, found, labels = arrays
    index.search_preassigned_c(
        len(queries), asked, k, numbers, distances, found, labels, False, parameters
    )
    return scores, positions


def _quantised(
    index: Any, centers: FloatRows, queries: FloatRows, chosen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What the quantiser says of queries (q, d) and the lists (q, p) chosen for them."""
    products = np.take_along_axis(queries @ centers.T, chosen, axis=1)
    if index.quantizer.metric_type == faiss.METRIC_INNER_PRODUCT:
        return np.ascontiguousarray(products, dtype=np.float32)
    squares = np.einsum("ij,ij->i", centers, centers)[chosen] - 2 * products
    squares += np.einsum("ij,ij->i", queries, queries)[:, None]
    return np.ascontiguousarray(squares, dtype=np.float32)
