"""Walks against the formula, by chi-square."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from embedders.node2vec.alias import alias_table
from embedders.node2vec.building import build_graph
from embedders.node2vec.graph import Graph
from embedders.node2vec.matrices import matrix_edges
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.steps import scan_step
from embedders.node2vec.walker import Walker, WalkPlan, links_of

# far below what chance alone gives in the some dozen tests here
SIGNIFICANCE = 1e-6
BIASES = [(1.0, 1.0), (4.0, 1.0), (0.25, 1.0), (1.0, 0.5), (4.0, 0.5), (0.02, 30.0), (0.3, 4.0)]


def make(weighted: bool, directed: bool) -> tuple[NDArray[np.float64], Graph]:
    """Twelve nodes, a loop and, where directed, a node that leads nowhere."""
    graph = nx.gnp_random_graph(12, 0.4, seed=5, directed=directed)
    matrix = nx.to_numpy_array(graph)
    if weighted:
        noise = np.random.default_rng(1).gamma(1.0, 2.0, matrix.shape) + 0.05
        matrix *= noise if directed else noise + noise.T
    matrix[3, 3] = 1.5 if weighted else 1.0
    if directed:
        matrix[7] = 0.0
    return matrix, build_graph(matrix_edges(matrix, "m"), GraphOptions(directed=directed))


def formula(matrix: NDArray[np.float64], t: int, v: int, p: float, q: float) -> NDArray[np.float64]:
    """Chances of the node after t and v, written down from the paper."""
    chances = matrix[v].copy()
    for x in range(len(matrix)):
        if x == t:
            chances[x] /= p
        elif matrix[t, x] == 0:
            chances[x] /= q
    return np.asarray(chances / chances.sum())


def steps_of(walks: NDArray[np.int32]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """How often each node came after each pair."""
    found: dict[tuple[int, int], NDArray[np.int64]] = {}
    triples = np.stack([walks[:, :-2], walks[:, 1:-1], walks[:, 2:]], axis=-1).reshape(-1, 3)
    triples = triples[(triples >= 0).all(axis=1)]
    for t, v in np.unique(triples[:, :2], axis=0).tolist():
        after = triples[(triples[:, 0] == t) & (triples[:, 1] == v), 2]
        found[t, v] = np.bincount(after, minlength=12)
    return found


def assert_drawn_from(counts: NDArray[np.int64], chances: NDArray[np.float64]) -> None:
    assert counts[chances == 0].sum() == 0
    expected = chances[chances > 0] * counts.sum()
    if len(expected) > 1 and expected.min() > 5:
        assert chisquare(counts[chances > 0], expected).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "q"), BIASES)
def test_steps_follow_the_formula(p: float, q: float, weighted: bool, directed: bool) -> None:
    matrix, graph = make(weighted, directed)
    walker = Walker(graph, WalkPlan(rounds=600, length=30, p=p, q=q, seed=3))
    walks = np.concatenate([walker.block(i) for i in range(len(walker))])
    found = steps_of(walks)
    assert len(found) > 40
    for (t, v), counts in found.items():
        assert_drawn_from(counts, formula(matrix, t, v, p, q))


@pytest.mark.parametrize("weighted", [False, True])
def test_first_steps_follow_the_weights(weighted: bool) -> None:
    matrix, graph = make(weighted, directed=False)
    walker = Walker(graph, WalkPlan(rounds=4000, length=2, p=0.1, q=9.0, seed=2))
    walks = np.concatenate([walker.block(i) for i in range(len(walker))])
    for v in range(12):
        counts = np.bincount(walks[walks[:, 0] == v, 1], minlength=12)
        assert_drawn_from(counts, matrix[v] / matrix[v].sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_adding_up_a_row_follows_the_formula(weighted: bool) -> None:
    # what a step falls back to after many rejections
    matrix, graph = make(weighted, directed=False)
    links, places = links_of(graph), (np.arange(20_000) + 0.5) / 20_000
    for t, v in [(0, int(np.flatnonzero(matrix[0])[0])), (3, 3)]:
        drawn = [scan_step(links, t, v, 0.3, 7.0, place) for place in places]
        found = np.bincount(drawn, minlength=12) / len(places)
        np.testing.assert_allclose(found, formula(matrix, t, v, 0.3, 7.0), atol=1e-4)


def test_a_chi_square_test_here_can_fail() -> None:
    matrix, graph = make(weighted=True, directed=False)
    walker = Walker(graph, WalkPlan(rounds=1500, length=30, p=1.0, q=0.8, seed=3))
    walks = np.concatenate([walker.block(i) for i in range(len(walker))])
    wrong = 0
    for (t, v), counts in steps_of(walks).items():
        try:
            assert_drawn_from(counts, formula(matrix, t, v, 1.0, 1.0))
        except AssertionError:
            wrong += 1
    assert wrong > 10


def test_walks_repeat_whatever_the_threads_and_the_blocks() -> None:
    _, graph = make(weighted=True, directed=True)
    plan = WalkPlan(rounds=3000, length=40, p=0.5, q=2.0, seed=9)
    one, two = Walker(graph, plan), Walker(graph, plan)
    two.block_walks = 501
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(two.block, reversed(range(len(two)))))
    walks = np.concatenate([one.block(i) for i in range(len(one))])
    np.testing.assert_array_equal(walks, np.concatenate(parts[::-1]))
    other = Walker(graph, WalkPlan(rounds=3000, length=40, p=0.5, q=2.0, seed=10))
    assert (other.block(0) != one.block(0)).mean() > 0.1


def test_walks_follow_links_and_end_where_none_leads_on() -> None:
    matrix, graph = make(weighted=False, directed=True)
    walker = Walker(graph, WalkPlan(rounds=10, length=20, p=2.0, q=0.5, seed=4))
    walks = np.concatenate([walker.block(i) for i in range(len(walker))])
    np.testing.assert_array_equal(np.bincount(walks[:, 0], minlength=12), 10)
    for walk in walks.tolist():
        path = walk[: walk.index(-1)] if -1 in walk else walk
        assert set(walk[len(path) :]) <= {-1}
        assert len(path) == 20 or path[-1] == 7
        assert all(matrix[a, b] > 0 for a, b in pairwise(path))


def test_alias_tables_hold_the_distribution() -> None:
    weights = np.random.default_rng(0).pareto(1.0, 1000) + 1e-3
    keep, other = alias_table(weights)
    chances = np.bincount(other, 1.0 - keep, 1000) + keep
    np.testing.assert_allclose(chances / 1000, weights / weights.sum(), rtol=1e-4, atol=1e-9)
