"""What a recipe is: how the rows of one sealed segment become a searchable index."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import RecipeError
from index.search.lists import CoarseLists
from index.search.top import Positions, Scores
from index.search.walk import Links
from index.types import IndexParameters, Metric, SearchParameters

RowMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Limits of a build.

    Args:
        threads: FAISS threads it may use; a build leaves a core to searches.
        check: called between chunks of rows with (done, total); raises to cancel.
    """

    threads: int = 1
    check: Callable[[int, int], None] = lambda done, total: None


class SegmentIndex(ABC):
    """A built index over rows 0..n-1 of one segment. Safe for concurrent searches."""

    #: "exact", "graph" or "lists": what plans tell users
    method: str
    rows: int
    memory_bytes: int
    #: what filtered searches read; None where exact search or the index itself does
    lists: CoarseLists | None = None
    #: the graph, where there is one; filtered searches walk on it
    links: Links | None = None
    #: whether `search` heeds a mask by itself; else plans search exactly where there is one
    filters: bool = True
    #: effort where none is asked for
    default_search: SearchParameters = SearchParameters()

    @abstractmethod
    def search(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask | None = None,
    ) -> tuple[Scores, Positions]:
        """Scores (q, k), descending, and positions int64 (q, k).

        Missing hits are position -1 and score -inf. `queries` are scaled already. `mask` (n,)
        says which rows may be returned (tombstones and filters alike); None means all.
        """

    def search_lists(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask,
        chosen: NDArray[np.int64],
    ) -> tuple[Scores, Positions]:
        """As `search`, over the lists int64 (q, p) chosen for each query; by method "lists" only.

        Raises:
            RecipeError: this index has no lists of its own.
        """
        raise RecipeError(f"an index of method {self.method!r} has no lists of its own")

    @abstractmethod
    def save(self, path: Path) -> None:
        """Writes the index to a file (the caller handles fsync, checksum and rename)."""


class Recipe(ABC):
    """A way to index a segment."""

    name: str
    #: Effort where neither the call nor the collection says: reaches recall@10 of 0.95
    default_search: SearchParameters
    default_index: IndexParameters
    #: Fewer rows than this are searched exactly instead
    min_rows: int

    @abstractmethod
    def build(
        self, rows: FloatRows, metric: Metric, params: IndexParameters, context: BuildContext
    ) -> SegmentIndex:
        """Trains where needed and adds all rows (scaled already). `rows` may be memory-mapped
        and stays readable as long as the index lives: exact re-ranking reads it."""

    @abstractmethod
    def load(self, path: Path, rows: FloatRows, metric: Metric) -> SegmentIndex:
        """Reads what `save` wrote, memory-mapped where FAISS can.

        Raises:
            RecipeError: not such a file.
        """
