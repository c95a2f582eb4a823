"""A graph with named nodes, as compressed rows of links."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Graph:
    """Links from each node, those of an undirected graph in both directions.

    Args:
        names: of the nodes, distinct.
        indptr: int64 (n + 1,), where the links of each node begin.
        indices: int32 (links,), where they lead, ascending for each node.
        weights: float32 (links,), positive; None where all links weigh the same.
        notes: what the user should know of the data.
    """

    names: Sequence[str]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float32] | None = None
    directed: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def links(self) -> int:
        """Links in the rows; each one of an undirected graph counts twice, but for loops."""
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        weights = 0 if self.weights is None else self.weights.nbytes
        return self.indptr.nbytes + self.indices.nbytes + weights

    def degrees(self) -> NDArray[np.int64]:
        """Links at each node, int64 (n,); those of a directed graph in both directions."""
        found = np.diff(self.indptr)
        if self.directed:
            found = found + np.bincount(self.indices, minlength=len(self))
        return found

    def sources(self) -> NDArray[np.int32]:
        """Where each link starts, int32 (links,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.indptr))

    def part(self, kept: NDArray[np.bool_]) -> "Graph":
        """The graph of some of the nodes, bool (n,), and the links between them."""
        sources = self.sources()
        inside = kept[sources] & kept[self.indices]
        lengths = np.bincount(sources[inside], minlength=len(self))[kept]
        numbers = np.cumsum(kept) - 1
        return Graph(
            [name for name, stays in zip(self.names, kept, strict=True) if stays],
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            numbers[self.indices[inside]].astype(np.int32),
            None if self.weights is None else self.weights[inside],
            self.directed,
            self.notes,
        )
