"""Random walks over a graph, in blocks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.alias import fill_rows
from embedders.node2vec.graph import Graph
from embedders.node2vec.steps import Links, walk_nodes

BLOCK_NODES = 1 << 15


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """How to walk: `rounds` walks of `length` nodes from each node, with the formula's p and q."""

    rounds: int = 10
    length: int = 80
    p: float = 1.0
    q: float = 1.0
    seed: int = 1


class Walker:
    """Walks from every node of a graph, in a random order, `plan.rounds` times.

    A walk depends on the seed and its number only: any thread may ask for any block at any time.
    Memory is O(links); blocks are not kept.
    """

    def __init__(self, graph: Graph, plan: WalkPlan) -> None:
        self.plan, self.nodes = plan, len(graph)
        self.total = plan.rounds * len(graph)
        self.block_walks = max(1, BLOCK_NODES // plan.length)
        self._links = links_of(graph)
        self._starts = _all_starts(len(graph), plan)

    def __len__(self) -> int:
        """Blocks."""
        return -(-self.total // self.block_walks)

    def block(self, number: int) -> NDArray[np.int32]:
        """The walks of a block, int32 (walks, length); -1 after a node that leads nowhere."""
        first = number * self.block_walks
        starts = self._starts[first : first + self.block_walks]
        walks = np.empty((len(starts), self.plan.length), np.int32)
        p, q, seed = self.plan.p, self.plan.q, np.uint64(self.plan.seed)
        walk_nodes(self._links, p, q, seed, first, starts, walks)
        return walks


def links_of(graph: Graph) -> Links:
    """What the walker reads of a graph, with alias tables where links have weights."""
    floats, ints = np.empty(0, np.float32), np.empty(0, np.int32)
    lengths = np.diff(graph.indptr)
    strengths: NDArray[np.float64] = lengths.astype(np.float64)
    if graph.weights is None:
        return Links(graph.indptr, graph.indices, floats, floats, ints, strengths)
    keep, other = np.empty(graph.links, np.float32), np.empty(graph.links, np.int32)
    fill_rows(graph.indptr, graph.weights, keep, other, int(lengths.max(initial=0)))
    sources = graph.sources()
    strengths = np.asarray(np.bincount(sources, graph.weights, len(graph)), np.float64)
    return Links(graph.indptr, graph.indices, graph.weights, keep, other, strengths)


def _all_starts(nodes: int, plan: WalkPlan) -> NDArray[np.int32]:
    rng = np.random.default_rng(plan.seed)
    rounds = [rng.permutation(np.arange(nodes, dtype=np.int32)) for _ in range(plan.rounds)]
    return np.concatenate(rounds)
