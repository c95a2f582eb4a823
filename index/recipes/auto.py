"""The recipe that fits a segment's size.

Measured on 480,000 MiniLM vectors of 384 numbers (2 cores, batches of 256, recall@10):

| recipe | recall | queries/s |
|---|---|---|
| IVF316,PQ192x4fs, nprobe 64, re-ranked 100 | 0.951 | 16,000 |
| HNSW32, ef 128 | 0.958 | 4,545 |

On 200,000 of them `ivf_pq` as it is by default gave 0.956 at 0.24 ms of one thread, `hnsw` 0.966
at 0.81 ms (benchmarks/filtered.py). Product codes need enough rows to train and enough numbers a
row to pay; below that a graph is better, and below a few thousand rows exact search is as fast as
anything.

A memory budget is compared with what a search reads at random, a row: 4 bytes a number and the
links for `hnsw`, 1 byte a number and the links for `hnsw_sq8`, a quarter of a byte a number for
`ivf_pq`. The row file that re-ranking reads is mapped: under pressure the system drops its pages.
"""

from pathlib import Path

from embedders.vectors import FloatRows
from index.recipes.base import BuildContext, Recipe, SegmentIndex
from index.types import IndexParameters, Metric, SearchParameters

_GRAPH_ROWS = 5_000
_PRODUCT_ROWS = 200_000
_PRODUCT_DIM = 64


# M 32: twice as many links at the bottom, 4 bytes each, and a little for the levels above
_LINK_BYTES = 280


def choose(rows: int, dim: int, budget_bytes: int = 0) -> str:
    """Name of the recipe for a segment of so many rows.

    Args:
        budget_bytes: what its index may take in memory; 0 is no limit. Where nothing fits, the
            smallest is taken.
    """
    if rows < _GRAPH_ROWS:
        return "exact"
    if rows >= _PRODUCT_ROWS and dim >= _PRODUCT_DIM:
        return "ivf_pq"
    if not budget_bytes or rows * (4 * dim + _LINK_BYTES) <= budget_bytes:
        return "hnsw"
    if rows * (dim + _LINK_BYTES) <= budget_bytes or dim < _PRODUCT_DIM:
        return "hnsw_sq8"
    return "ivf_pq"


class Auto(Recipe):
    """Chooses by the shape of the rows, when building and when loading alike."""

    name = "auto"
    default_search = SearchParameters()
    default_index = IndexParameters()
    min_rows = _GRAPH_ROWS

    def build(
        self, rows: FloatRows, metric: Metric, params: IndexParameters, context: BuildContext
    ) -> SegmentIndex:
        """See `Recipe.build`."""
        return self._chosen(rows).build(rows, metric, params, context)

    def load(self, path: Path, rows: FloatRows, metric: Metric) -> SegmentIndex:
        """See `Recipe.load`."""
        return self._chosen(rows).load(path, rows, metric)

    def _chosen(self, rows: FloatRows) -> Recipe:
        from index.recipes import recipe

        return recipe(choose(*rows.shape))
