"""Nodes without a vector: refused, or averaged from their neighbours where that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from embedders import EncodeOptions, Encoder, Item, Modality, load
from embedders.errors import ItemError, OptionError, UnknownKeyError
from embedders.formats import save_safetensors
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

VECTORS = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
COMPOSE = EncodeOptions(compose_unknown=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_safetensors(tmp_path / "m", Vocabulary(["a", "b", "c"], VECTORS), "node2vec")
    return tmp_path / "m"


def make(model: Path, content: str, name: str = "edges.tsv") -> Encoder:
    edges = model.with_name(name)
    edges.write_text(content)
    return load("n", "node2vec", str(model), {"edges": str(edges)})


def row(encoder: Encoder, key: str) -> FloatRows:
    prepared = encoder.prepare(Item(Modality.KEY, key), COMPOSE)
    rows: FloatRows = encoder.encode([prepared], COMPOSE).rows[0]
    return rows


def test_an_unseen_node_is_the_weighted_mean_of_its_neighbours(model: Path) -> None:
    encoder = make(model, "new\ta\t1\nb\tnew\t3\nnew\tother\t9\na\tb\t5\n")
    np.testing.assert_allclose(row(encoder, "new"), (VECTORS[0] + 3 * VECTORS[1]) / 4, rtol=1e-6)
    np.testing.assert_array_equal(row(encoder, "a"), VECTORS[0])


def test_without_weights_it_is_the_plain_mean(model: Path) -> None:
    encoder = make(model, "new,a\nnew,b\nc,new\n", "edges.csv")
    np.testing.assert_allclose(row(encoder, "new"), VECTORS.mean(axis=0), rtol=1e-5)


def test_known_and_composed_nodes_mix_and_are_labelled(model: Path) -> None:
    encoder = make(model, "new\ta\nnew\tb\nfar\tother\n")
    keys = ["c", "new", "far", "a", "nobody"]
    found = encoder.prepare_batch([Item(Modality.KEY, key) for key in keys], COMPOSE)
    assert [isinstance(one, UnknownKeyError) for one in found] == [False, False, True, False, True]
    good = [one for one in found if not isinstance(one, ItemError)]
    assert [one.composed for one in good] == [False, True, False]
    rows = encoder.encode(good, COMPOSE).rows
    np.testing.assert_array_equal(rows[[0, 2]], VECTORS[[2, 0]])
    np.testing.assert_allclose(rows[1], VECTORS[:2].mean(axis=0), rtol=1e-5)


def test_nothing_is_composed_unless_asked_for(model: Path) -> None:
    encoder = make(model, "new\ta\n")
    with pytest.raises(UnknownKeyError, match="compose_unknown_keys makes a row of its neighbours"):
        encoder.prepare(Item(Modality.KEY, "new"), EncodeOptions())
    plain = load("n", "node2vec", str(model))
    with pytest.raises(UnknownKeyError):
        plain.prepare(Item(Modality.KEY, "new"), COMPOSE)
    assert plain.info.space_id == encoder.info.space_id
    assert encoder.info.memory_bytes > plain.info.memory_bytes


def test_edges_that_cannot_be_read_name_the_option(model: Path) -> None:
    with pytest.raises(OptionError, match=r"edges: .*line 1: the weight 'x'") as caught:
        make(model, "new\ta\tx\n")
    assert caught.value.field == "edges"
    with pytest.raises(OptionError, match="no such file"):
        load("n", "node2vec", str(model), {"edges": "/none"})
    with pytest.raises(OptionError, match="options: bad_rows, edges, limit"):
        load("n", "node2vec", str(model), {"edge": "x"})
