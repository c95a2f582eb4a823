"""Training of node2vec: every trainer learns, repeats, tells its progress and can be stopped."""

import gzip
import hashlib
import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from embedders import load
from embedders.errors import OptionError
from embedders.formats import read_vocabulary
from embedders.lookup import LookupEncoder
from embedders.node2vec.building import build_graph
from embedders.node2vec.corpus import WalkCorpus
from embedders.node2vec.gensim_trainer import write_walks
from embedders.node2vec.graph import Graph
from embedders.node2vec.matrices import matrix_edges
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.params import Node2VecParams, Trainer
from embedders.node2vec.trainer import embed_graph
from embedders.node2vec.walker import Walker, WalkPlan
from embedders.options import read_options
from embedders.training import TrainingReport, silent, train
from embedders.vectors import normalize_rows
from services.app.training import app

GROUPS, SIZE = 4, 15
SMALL = {"dim": 16, "walks": 20, "length": 30, "window": 4, "epochs": 3, "alpha": 0.05}
# torch costs a tenth of a second a hundred steps: fewer of them
LITTLE = {**SMALL, "walks": 15, "length": 20}


def communities() -> nx.Graph:
    """Four dense groups of fifteen, with few links between them."""
    return nx.planted_partition_graph(GROUPS, SIZE, 0.6, 0.02, seed=2)


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "edges.tsv"
    path.write_text("".join(f"node {a}\tnode {b}\n" for a, b in communities().edges))
    return path


@pytest.fixture(scope="module")
def trained(edges: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    return train("node2vec", edges, tmp_path_factory.mktemp("model") / "n.safetensors", SMALL)


def graph() -> Graph:
    matrix = nx.to_numpy_array(communities(), nodelist=range(GROUPS * SIZE))
    return build_graph(matrix_edges(matrix, "m"), GraphOptions())


def params_of(trainer: Trainer, **others: object) -> Node2VecParams:
    """Small ones; skips where the trainer's package is missing."""
    if trainer is Trainer.TORCH:
        pytest.importorskip("torch", reason="torch is missing")
        others = {**LITTLE, "device": "cpu", **others}
    return read_options(Node2VecParams, {**SMALL, "trainer": trainer, **others}, "test")


def separation(vectors: NDArray[np.float32]) -> float:
    """Mean cosine within the groups, less the mean between them."""
    rows = normalize_rows(vectors)
    cosines, group = rows @ rows.T, np.arange(len(rows)) // SIZE
    same = np.equal.outer(group, group)
    return float(cosines[same & ~np.eye(len(rows), dtype=bool)].mean() - cosines[~same].mean())


@pytest.mark.parametrize("trainer", Trainer)
@pytest.mark.parametrize("threads", [1, 2])
def test_nodes_of_a_group_are_near(trainer: Trainer, threads: int) -> None:
    vectors = embed_graph(graph(), params_of(trainer, threads=threads, q=0.5))
    assert vectors.shape == (60, 16)
    assert vectors.dtype == np.float32
    assert separation(vectors) > 0.4


@pytest.mark.parametrize("trainer", Trainer)
def test_one_thread_repeats_bit_for_bit(trainer: Trainer) -> None:
    one, two, other = (
        embed_graph(graph(), params_of(trainer, epochs=1, seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).mean() > 0.9


@pytest.mark.parametrize("negative", [1, 5, 6, 13])
@pytest.mark.parametrize("dim", [3, 16])
def test_any_number_of_noise_nodes_and_dimensions(negative: int, dim: int) -> None:
    params = params_of(Trainer.NUMBA, dim=dim, negative=negative, epochs=6)
    vectors = embed_graph(graph(), params)
    assert np.isfinite(vectors).all()
    assert separation(vectors) > 0.25


def test_the_model_is_a_vocabulary_by_degree(trained: TrainingReport, edges: Path) -> None:
    encoder = load("n", "node2vec", str(trained.path))
    assert isinstance(encoder, LookupEncoder)
    vocabulary = encoder.vocabulary
    assert vocabulary.counts is not None
    degrees = {f"node {node}": degree for node, degree in communities().degree}
    assert dict(zip(vocabulary.keys, vocabulary.counts.tolist(), strict=True)) == degrees
    assert (np.diff(vocabulary.counts) <= 0).all()
    assert (trained.keys, trained.dim) == (60, 16)
    assert trained.revision == vocabulary.revision
    told = vocabulary.metadata
    assert told["graph_sha256"] == hashlib.sha256(edges.read_bytes()).hexdigest()
    assert (told["graph_nodes"], told["graph_weighted"]) == ("60", "false")
    assert json.loads(told["params"])["window"] == 4
    assert trained.metrics["visits"] == 60 * 20 * 30


def test_packed_edges_give_the_same_vectors(
    trained: TrainingReport, edges: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "edges.tsv.gz"
    packed.write_bytes(gzip.compress(edges.read_bytes()))
    assert train("node2vec", packed, tmp_path / "m", SMALL).revision == trained.revision


def test_walks_made_again_are_the_walks_that_were_kept() -> None:
    walker = Walker(graph(), WalkPlan(rounds=200, length=30, q=0.5))
    kept = WalkCorpus(walker, 2, silent)
    again = WalkCorpus(walker, 1, silent, keep_bytes=0)
    assert len(kept) > 3
    np.testing.assert_array_equal(kept.visits, again.visits)
    np.testing.assert_array_equal(kept.block(2), again.block(2))
    assert again.block(2) is not again.block(2)
    assert kept.block(2) is kept.block(2)
    assert kept.visits.sum() == 60 * 200 * 30


def test_gensim_s_file_holds_the_walks(tmp_path: Path) -> None:
    matrix = np.triu(nx.to_numpy_array(communities()))
    directed = build_graph(matrix_edges(matrix, "m"), GraphOptions(directed=True))
    corpus = WalkCorpus(Walker(directed, WalkPlan(rounds=3, length=12)), 1, silent)
    write_walks(corpus, tmp_path / "walks.txt")
    lines = (tmp_path / "walks.txt").read_text().splitlines()
    walks = np.concatenate([corpus.block(i) for i in range(len(corpus))]).tolist()
    assert [[int(word) for word in line.split()] for line in lines] == [
        [node for node in walk if node >= 0] for walk in walks
    ]
    assert any(-1 in walk for walk in walks)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("stage", ["read", "walk", "train"])
def test_progress_is_told_and_can_cancel(
    stage: str, threads: int, edges: Path, tmp_path: Path
) -> None:
    params = {**SMALL, "walks": 150, "threads": threads}
    told: list[tuple[str, int, int]] = []
    train("node2vec", edges, tmp_path / "m", params, lambda *step: told.append(step))
    assert told[0] == ("read", 0, 1)
    last = {name: (done, total) for name, done, total in told}
    assert last["walk"][0] == last["walk"][1] > 5
    assert last["train"] == (3 * last["walk"][1], 3 * last["walk"][1])
    steps = [done for name, done, _ in told if name == "train"]
    assert steps == sorted(set(steps))

    def cancel(name: str, done: int, total: int) -> None:
        if name == stage and (done or name == "read"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("node2vec", edges, tmp_path / "cancelled", params, cancel)
    assert not (tmp_path / "cancelled").exists()


def test_nodes_with_few_links_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "edges.txt"
    path.write_text("a b\nb c\nc a\nc d\nd e\n")
    report = train("node2vec", path, tmp_path / "m", {**SMALL, "min_degree": 2})
    assert set(read_vocabulary(report.path).keys) == {"a", "b", "c", "d"}
    assert "1 nodes have fewer than 2 links" in report.warnings[-1]
    with pytest.raises(OptionError, match="none of the 5 nodes has 9 links: lower") as caught:
        train("node2vec", path, tmp_path / "m", {**SMALL, "min_degree": 9})
    assert caught.value.field == "min_degree"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"p": 0}, "p: .*greater than 0"),
        ({"q": -1.0}, "q: .*greater than 0"),
        ({"length": 1}, "greater than or equal to 2"),
        ({"trainer": "tensorflow"}, "'numba', 'gensim' or 'torch'"),
        ({"walk": 3}, "walk: .*options: alpha"),
    ],
)
def test_what_cannot_be_trained_names_the_cure(
    params: dict[str, object], message: str, edges: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message):
        train("node2vec", edges, tmp_path / "m", params)


def test_the_command_trains(edges: Path, tmp_path: Path, trained: TrainingReport) -> None:
    out = tmp_path / "nodes.safetensors"
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    command = ["node2vec", str(edges), f"--out={out}", "--threads=1", "--json", *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["revision"] == trained.revision
    bad = CliRunner().invoke(app, ["node2vec", str(tmp_path / "none.tsv"), f"--out={out}"])
    assert bad.exit_code != 0
    assert "no such file" in bad.output
