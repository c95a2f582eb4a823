"""Our trainer of node2vec beside gensim's Word2Vec: as good vectors from the same walks."""

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from embedders.evaluation.node_classification import classify_nodes
from embedders.node2vec.building import build_graph
from embedders.node2vec.graph import Graph
from embedders.node2vec.hogwild import start_weights
from embedders.node2vec.matrices import matrix_edges
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.params import Node2VecParams, Trainer
from embedders.node2vec.skipgram import Settings, Weights, train_walks
from embedders.node2vec.trainer import embed_graph

GROUPS, SIZE = 8, 40
SEEDS = (1, 2, 3)


def blocks() -> Graph:
    """Eight groups of forty whose links lead to other groups almost as often as within."""
    edges = nx.planted_partition_graph(GROUPS, SIZE, 0.12, 0.012, seed=5)
    matrix = nx.to_scipy_sparse_array(edges, nodelist=range(GROUPS * SIZE))
    return build_graph(matrix_edges(matrix, "m"), GraphOptions())


def quality(graph: Graph, trainer: Trainer) -> tuple[float, float, float]:
    """Mean macro F1 over seeds, its standard error, and the mean length of a vector."""
    labels = np.eye(GROUPS, dtype=bool)[[int(name) // SIZE for name in graph.names]]
    scores, lengths = [], []
    for seed in SEEDS:
        params = Node2VecParams(trainer=trainer, seed=seed)
        vectors = embed_graph(graph, params)
        with threadpool_limits(1):
            scores.append(classify_nodes(vectors, labels, splits=5).macro_f1.mean())
        lengths.append(np.linalg.norm(vectors, axis=1).mean())
    error = np.std(scores, ddof=1) / np.sqrt(len(SEEDS))
    return float(np.mean(scores)), float(error), float(np.mean(lengths))


def test_defaults_are_as_good_as_gensim_s() -> None:
    graph = blocks()
    ours, error, length = quality(graph, Trainer.NUMBA)
    theirs, error_2, length_2 = quality(graph, Trainer.GENSIM)
    assert theirs > 0.5  # the graph tells something
    assert ours >= theirs - 3 * np.hypot(error, error_2) - 0.01
    assert length == pytest.approx(length_2, rel=0.1)


def step_by_step(
    inner: NDArray[np.float64], outer: NDArray[np.float64], pairs: list[tuple[int, int]],
    rate: float,
) -> None:  # fmt: skip
    """word2vec's steps for pairs (node, target) without noise, one after the other."""
    for node, target in pairs:
        x = inner[node] @ outer[target]
        if abs(x) < 6:
            step = rate * (1 - 1 / (1 + np.exp(-x)))
            before = inner[node].copy()
            inner[node] += step * outer[target]
            outer[target] += step * before


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_each_step_starts_from_the_one_before(scale: float) -> None:
    """A walk that stays at node 1 has eight pairs (1, 1) in windows of 1, and no noise but 1."""
    rng = np.random.default_rng(3)
    start = scale * rng.standard_normal((2, 16)).astype(np.float32)
    again = scale * rng.standard_normal((2, 16)).astype(np.float32)
    weights = _two_nodes(start.copy(), again.copy())
    walk = np.array([[1, 1, 1, 1, 1]], np.int32)
    train_walks(weights, Settings(1, 5, 0.2, 0.2), np.uint64(1), 0, walk)
    inner, outer = start.astype(np.float64), again.astype(np.float64)
    step_by_step(inner, outer, [(1, 1)] * 8, 0.2)
    np.testing.assert_allclose(weights.inner, inner, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(weights.outer, outer, rtol=2e-3, atol=2e-3)
    beyond = abs(float(start[1] @ again[1])) >= 6
    assert beyond == bool(np.array_equal(weights.inner, start))


def _two_nodes(inner: NDArray[np.float32], outer: NDArray[np.float32]) -> Weights:
    """Weights whose noise is always node 1, so that a target 1 has none."""
    tables = start_weights(np.array([1, 1]), Node2VecParams(dim=inner.shape[1], sample=0))
    never, other = np.zeros(2, np.float32), np.ones(2, np.int32)
    return tables._replace(inner=inner, outer=outer, keep=never, other=other)
