import importlib.util
from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import networkx as nx
import numpy as np
import pytest

from embedders import EncodeOptions, Item, Modality, load
from embedders.errors import UnknownKeyError
from embedders.formats import read_vocabulary
from embedders.lookup import LookupEncoder
from embedders.sources import model_file

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_nodes_mini.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_nodes_mini", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_nodes_are_those_of_the_graph() -> None:
    encoder = load("nodes", "node2vec")
    assert isinstance(encoder, LookupEncoder)
    assert set(encoder.vocabulary.keys) == set(nx.les_miserables_graph())
    assert (encoder.info.family, encoder.info.dim) == ("node2vec", 32)
    prepared = encoder.prepare(Item(Modality.KEY, "Valjean"), EncodeOptions())
    assert encoder.encode([prepared]).rows.shape == (1, 32)
    with pytest.raises(UnknownKeyError, match="Valjean"):
        encoder.prepare(Item(Modality.KEY, "valjean"), EncodeOptions())


def test_the_shipped_nodes_are_as_good_as_their_card_says(script: ModuleType) -> None:
    graph, vocabulary = nx.les_miserables_graph(), read_vocabulary(model_file("nodes-mini"))
    links, by_chance = script.link_agreement(graph, vocabulary)
    assert links == pytest.approx(0.746, abs=0.001)
    assert by_chance == pytest.approx(0.159, abs=0.001)
    communities, by_chance = script.community_agreement(graph, vocabulary, 5)
    assert communities == pytest.approx(0.982, abs=0.001)
    assert by_chance == pytest.approx(0.266, abs=0.001)


def test_steps_follow_the_formula(script: ModuleType) -> None:
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 2.0), ("b", "c", 1.0), ("a", "c", 3.0), ("b", "d", 4.0)]
    )
    names, weights = script.adjacency(graph)
    assert names == ["a", "b", "c", "d"]
    # from a to b: back to a 2/p, to c (linked to a) 1, to d (not linked to a) 4/q
    found = script.step(weights, 0, 1, 0.5, 4.0)
    np.testing.assert_allclose(found, np.array([4.0, 0.0, 1.0, 1.0]) / 6)
    first = script.step(weights, -1, 1, 0.5, 4.0)
    np.testing.assert_allclose(first, np.array([2.0, 0.0, 1.0, 4.0]) / 7)


def test_walks_follow_links_as_often_as_they_should(script: ModuleType) -> None:
    _, weights = script.adjacency(nx.les_miserables_graph())
    args = Namespace(seed=3, walks=4, length=20, p=0.25, q=4.0)
    walks = script.all_walks(weights, args)
    assert len(walks) == 4 * 77
    assert all(len(path) == 20 for path in walks)
    assert all(weights[a, b] > 0 for path in walks for a, b in pairwise(path))
    assert walks == script.all_walks(weights, args)
    eager = script.all_walks(weights, Namespace(**{**vars(args), "p": 100.0}))
    assert returns(eager) < returns(walks)


def returns(walks: list[list[int]]) -> int:
    """Steps that go straight back."""
    return sum(a == c for path in walks for a, c in zip(path, path[2:], strict=False))


def test_training_repeats_exactly(script: ModuleType) -> None:
    names, weights = script.adjacency(nx.les_miserables_graph())
    args = Namespace(
        seed=1, walks=2, length=10, p=1.0, q=1.0, dim=8, window=2, negative=2, epochs=2
    )
    one, two = (script.train(names, script.all_walks(weights, args), args) for _ in range(2))
    assert one.revision == two.revision
