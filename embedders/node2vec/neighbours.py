"""Nodes without a vector of their own, as the mean of their neighbours' vectors."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.graph import Graph
from embedders.node2vec.options import Duplicates, GraphOptions
from embedders.node2vec.reading import read_graph
from embedders.vectors import FloatRows, IndexArray
from embedders.vocabulary import Vocabulary


class Neighbours:
    """For each node of an edge file that a vocabulary lacks, its neighbours that it has.

    A neighbour counts by the weight of the edge, in whichever direction it leads; edges between
    two nodes without vectors say nothing, and are not kept.
    """

    def __init__(self, graph: Graph, vocabulary: Vocabulary) -> None:
        found = [vocabulary.position(n) if n in vocabulary else -1 for n in graph.names]
        keys = np.array(found, dtype=np.intp)
        sources, targets = graph.sources(), graph.indices
        weights = np.ones(graph.links, np.float32) if graph.weights is None else graph.weights
        new, known = [sources], [targets]
        if graph.directed:
            new, known, weights = [*new, targets], [*known, sources], np.tile(weights, 2)
        self._build(graph, keys, np.concatenate(new), keys[np.concatenate(known)], weights)

    def _build(
        self,
        graph: Graph,
        keys: IndexArray,
        new: NDArray[np.int32],
        known: IndexArray,
        weights: NDArray[np.float32],
    ) -> None:
        useful = np.flatnonzero((keys[new] < 0) & (known >= 0))
        useful = useful[np.argsort(new[useful], kind="stable")]
        nodes, starts = np.unique(new[useful], return_index=True)
        self._known, self._weights = known[useful], weights[useful]
        stops = np.append(starts[1:], len(useful))
        self._spans = {
            graph.names[node]: slice(int(a), int(b))
            for node, a, b in zip(nodes, starts, stops, strict=True)
        }

    @classmethod
    def read(cls, path: Path, vocabulary: Vocabulary, directed: bool = False) -> "Neighbours":
        """Of an edge file, as the trainer reads it.

        Raises:
            OptionError
        """
        options = GraphOptions(directed=directed, duplicates=Duplicates.SUM)
        return cls(read_graph(path, options), vocabulary)

    def __len__(self) -> int:
        return len(self._spans)

    def __contains__(self, node: str) -> bool:
        return node in self._spans

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self._known.nbytes + self._weights.nbytes

    def mean(self, node: str, vectors: FloatRows) -> FloatRows:
        """The weighted mean of the neighbours' rows, float32 (d,).

        Raises:
            KeyError: not such a node.
        """
        span = self._spans[node]
        weights = self._weights[span] / self._weights[span].sum()
        return np.asarray(weights @ vectors[self._known[span]], np.float32)
