"""Which defaults of node2vec's training hold on graphs of several kinds, beside PecanPy.

    benchmarks/peers/make_env.sh                   # once: PecanPy in an environment of its own
    python -m benchmarks.nodes_defaults DATA/graphs

The rates and passes are compared on PPI, Wikipedia POS, Cora and a generated block model with
uneven degrees; the last graph, of overlapping communities, is for the check alone. All with
p 1 and q 1, 128 numbers, 10 walks of 80 nodes, window 10, one thread. F1: half of the nodes
train, counts of labels known, mean and standard error over the splits. Seconds are the
processor's.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from benchmarks.nodes import PYTHON, measure_pecan, timed
from benchmarks.timing import print_table
from embedders.evaluation.node_classification import classify_nodes
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.params import Node2VecParams
from embedders.node2vec.reading import read_graph
from embedders.node2vec.trainer import embed_graph

#: (learning rate, passes); the second is the default
SETTINGS = ((0.0175, 1), (0.025, 1), (0.025, 2))
LEFT_OUT = "communities"
Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A graph and the labels of its nodes, bool (n, labels)."""

    graph: Graph
    labels: Labels


def main() -> None:
    """One table a graph."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--graphs", nargs="*", default=list(GRAPHS), choices=GRAPHS)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--peer", type=Path, default=PYTHON, help="Python that has PecanPy")
    args = parser.parse_args()
    embed_graph(block_model(100, 2, 10).graph, Node2VecParams(walks=1))  # compiles
    for name in args.graphs:
        data = GRAPHS[name](args.folder)
        rows = [measured(data, rate, passes, args.splits) for rate, passes in SETTINGS]
        if args.peer.exists():
            run, _ = measure_pecan(data.graph, 1, 1, 1, args.peer)
            scores = f1(run.vectors, data.labels, args.splits)
            rows.append(["PecanPy", *scores, f"{run.whole[1]:.1f}"])
        else:
            print(f"{args.peer} is missing: run benchmarks/peers/make_env.sh for PecanPy's row")
        note = ", which no default was chosen by" if name == LEFT_OUT else ""
        print_table(
            f"{name}: {len(data.graph)} nodes, {data.labels.shape[1]} labels{note}",
            ["rate, passes", "macro F1", "micro F1", "processor s"],
            rows,
        )


def measured(data: Labelled, rate: float, passes: int, splits: int) -> list[str]:
    """A row of the table."""
    params = Node2VecParams(alpha=rate, epochs=passes)
    (_, seconds), vectors = timed(lambda: embed_graph(data.graph, params))
    return [f"{rate}, {passes}", *f1(vectors, data.labels, splits), f"{seconds:.1f}"]


def f1(vectors: Any, labels: Labels, splits: int) -> list[str]:
    """Macro and micro F1 with their standard errors."""
    with threadpool_limits(1):
        scores = classify_nodes(vectors, labels, splits=splits)
    return [
        f"{each.mean():.4f} +- {each.std(ddof=1) / np.sqrt(splits):.4f}"
        for each in (scores.macro_f1, scores.micro_f1)
    ]


def matlab(name: str) -> Callable[[Path], Labelled]:
    """A graph of a .mat file with matrices `network` and `group`."""

    def read(folder: Path) -> Labelled:
        path = folder / f"{name}.mat"
        group = loadmat(path, variable_names=["group"])["group"]
        return _matched(read_graph(path, GraphOptions()), group.toarray() > 0)

    return read


def cora(folder: Path) -> Labelled:
    """Papers and their citations, one label a paper."""
    graph = read_graph(folder / "cora" / "cora_edgelist.txt", GraphOptions())
    lines = (folder / "cora" / "cora_labels.txt").read_text().splitlines()
    pairs = np.array([[int(cell) for cell in line.split()] for line in lines])
    labels = np.zeros((pairs[:, 0].max() + 1, pairs[:, 1].max() + 1), np.bool_)
    labels[pairs[:, 0], pairs[:, 1]] = True
    return _matched(graph, labels)


def block_model(nodes: int, blocks: int, degree: float, seed: int = 1) -> Labelled:
    """A degree-corrected block model (Karrer and Newman, 2011): half of the links are inside.

    A node's share of its block's links falls by a power law; its label is its block.
    """
    rng = np.random.default_rng(seed)
    block = rng.integers(blocks, size=nodes)
    labels = np.eye(blocks, dtype=np.bool_)[block]
    return _matched(_linked(labels, rng, degree, inside=0.5, steepness=2.5), labels)


def communities(nodes: int, groups: int, degree: float, seed: int = 2) -> Labelled:
    """Overlapping communities of uneven sizes, after the LFR benchmark (Lancichinetti, 2009).

    Three links in ten are inside a community; a third of the nodes are in more than one.
    """
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, groups + 1) ** 0.7
    labels = np.zeros((nodes, groups), np.bool_)
    labels[np.arange(nodes), rng.choice(groups, nodes, p=shares / shares.sum())] = True
    for _ in range(2):
        again = np.flatnonzero(rng.random(nodes) < 0.2)
        labels[again, rng.choice(groups, len(again), p=shares / shares.sum())] = True
    return _matched(_linked(labels, rng, degree, inside=0.3, steepness=2.1), labels)


def _linked(
    labels: Labels, rng: np.random.Generator, degree: float, inside: float, steepness: float
) -> Graph:
    """Links drawn by the nodes' weights, `inside` of them among the nodes of a label."""
    nodes, groups = labels.shape
    weight = np.asarray(rng.pareto(steepness - 1, nodes)) + 1
    count = int(nodes * degree / 2)
    left = rng.choice(nodes, count, p=weight / weight.sum())
    right = rng.choice(nodes, count, p=weight / weight.sum())
    own = (labels[left] * rng.random((count, groups))).argmax(axis=1)
    within = rng.random(count) < inside
    for group in range(groups):
        members = np.flatnonzero(labels[:, group])
        chosen = np.flatnonzero(within & (own == group))
        right[chosen] = rng.choice(members, len(chosen), p=weight[members] / weight[members].sum())
    kept = left != right
    ends = np.concatenate([left[kept], right[kept]]), np.concatenate([right[kept], left[kept]])
    matrix = csr_array((np.ones(len(ends[0])), ends), shape=(nodes, nodes))
    matrix.sum_duplicates()
    graph = Graph(
        [str(node) for node in range(nodes)],
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
    )
    return graph.part(graph.degrees() > 0)


def _matched(graph: Graph, labels: Labels) -> Labelled:
    """Labels in the order of the graph's nodes, which are named by their row."""
    return Labelled(graph, labels[[int(name) for name in graph.names]])


GRAPHS: Mapping[str, Callable[[Path], Labelled]] = {
    "ppi": matlab("ppi"),
    "wikipedia_pos": matlab("wikipedia_pos"),
    "cora": cora,
    "blocks": lambda _: block_model(4000, 25, 16),
    LEFT_OUT: lambda _: communities(5000, 39, 40),
}


if __name__ == "__main__":
    main()
