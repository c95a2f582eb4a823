"""Exact search over the rows themselves."""

from pathlib import Path

from embedders.vectors import FloatRows
from index.recipes.base import BuildContext, Recipe, RowMask, SegmentIndex
from index.search.exact import search_exact
from index.search.top import Positions, Scores
from index.types import IndexParameters, Metric, SearchParameters


class ExactIndex(SegmentIndex):
    """Nothing but the rows."""

    method = "exact"
    memory_bytes = 0
    default_search = SearchParameters(exact=True)

    def __init__(self, rows: FloatRows, metric: Metric) -> None:
        self.rows, self._data, self._metric = len(rows), rows, metric

    def search(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask | None = None,
    ) -> tuple[Scores, Positions]:
        """See `SegmentIndex.search`; parameters change nothing."""
        return search_exact(self._data, queries, k, self._metric, mask=mask)

    def save(self, path: Path) -> None:
        """An empty file: there is nothing beside the rows."""
        path.write_bytes(b"")


class Exact(Recipe):
    """Every search compares with every row."""

    name = "exact"
    default_search = SearchParameters(exact=True)
    default_index = IndexParameters()
    min_rows = 0

    def build(
        self, rows: FloatRows, metric: Metric, params: IndexParameters, context: BuildContext
    ) -> ExactIndex:
        """Nothing to build."""
        context.check(len(rows), len(rows))
        return ExactIndex(rows, metric)

    def load(self, path: Path, rows: FloatRows, metric: Metric) -> ExactIndex:
        """Nothing to read."""
        return ExactIndex(rows, metric)
