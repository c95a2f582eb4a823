"""node2vec beside PecanPy, in one run: speed, and node classification as the paper measures it.

    benchmarks/peers/make_env.sh             # once: PecanPy in an environment of its own
    python -m benchmarks.nodes DATA/graphs [--threads 2] [--splits 10]

Graphs are PPI (p 4, q 1) and Wikipedia POS (p 4, q 0.5), as in Grover and Leskovec (2016): 128
numbers, 10 walks of 80 steps (81 nodes) from each node, window 10, one epoch. PecanPy is asked as
its command line does (SparseOTF, then gensim). Seconds are given by the wall clock and, since a
machine is seldom idle, by the processors. Ours are those of a second call: machine code is kept on
disk. PecanPy compiles at every call; that time is told, and the ratios leave it out.
"""

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from benchmarks.timing import print_table
from embedders.evaluation.node_classification import classify_nodes
from embedders.node2vec.blocks import run_blocks
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.params import Node2VecParams, Trainer
from embedders.node2vec.reading import read_graph
from embedders.node2vec.trainer import embed_graph
from embedders.node2vec.walker import Walker, WalkPlan
from embedders.vectors import FloatRows

PYTHON = Path("bench-out/nodes-venv/bin/python")
BIASES = {"ppi": (4.0, 1.0), "wikipedia_pos": (4.0, 0.5)}
PAPER = {"ppi": "0.1791", "wikipedia_pos": "0.1552"}
WALKS, NODES = 10, 81


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds (wall clock, processors) of walks alone and of walks and training; and vectors."""

    name: str
    walk: tuple[float, float]
    whole: tuple[float, float]
    vectors: FloatRows


def main() -> None:
    """Measures both graphs and prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--graphs", nargs="*", default=list(BIASES), choices=BIASES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--peer", type=Path, default=PYTHON, help="Python that has PecanPy")
    args = parser.parse_args()
    if not args.peer.exists():
        raise SystemExit(f"{args.peer} is missing: run benchmarks/peers/make_env.sh first")
    for name in args.graphs:
        path = args.folder / f"{name}.mat"
        graph, (p, q) = read_graph(path, GraphOptions()), BIASES[name]
        peer, compiled = measure_pecan(graph, p, q, args.threads, args.peer)
        runs = [peer, *(measure_ours(graph, p, q, args.threads, kind) for kind in ours())]
        print(f"\nPecanPy compiles for {compiled:.1f} s at every call, which is left out below")
        show_speed(f"{name}: p {p:g}, q {q:g}, {args.threads} threads", runs)
        show_quality(name, runs, loadmat(path)["group"], args.splits)


def ours() -> list[Trainer]:
    """The trainers for a CPU."""
    return [Trainer.NUMBA, Trainer.GENSIM]


def measure_ours(graph: Graph, p: float, q: float, threads: int, trainer: Trainer) -> Run:
    """Walks alone, and walks with training."""
    params = Node2VecParams(p, q, WALKS, NODES, threads=threads, trainer=trainer)
    walker = Walker(graph, WalkPlan(WALKS, NODES, p, q))
    walker.block(0)
    if trainer is Trainer.NUMBA:
        embed_graph(graph, Node2VecParams(p, q, 1, 5))

    def walk() -> None:
        walker = Walker(graph, WalkPlan(WALKS, NODES, p, q))
        run_blocks(lambda i: keep(walker.block(i)), len(walker), threads, keep)

    walked, _ = timed(walk)
    whole, vectors = timed(lambda: embed_graph(graph, params))
    return Run(f"latentspace, {trainer}", walked, whole, vectors)


def keep(_: object) -> None:
    """Takes a result that nobody needs."""


def measure_pecan(
    graph: Graph, p: float, q: float, threads: int, python: Path
) -> tuple[Run, float]:
    """PecanPy's run without compilation, and the seconds of that."""
    weights = np.ones(graph.links, np.float32) if graph.weights is None else graph.weights
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(
            folder / "graph.npz",
            IDs=np.array(graph.names),
            indptr=graph.indptr,
            indices=graph.indices,
            data=weights,
        )
        command = [str(python), "-m", "benchmarks.peers.pecan", name, str(p), str(q), str(threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        vectors = np.load(folder / "pecan.npy")
    told = json.loads(done.stdout.splitlines()[-1])
    (walk, walk_cpu), (train, train_cpu) = told["walk"], told["train"]
    compiled, compiled_cpu = told["compile"]
    walked = (walk - compiled, walk_cpu - compiled_cpu)
    whole = (walked[0] + train, walked[1] + train_cpu)
    return Run("PecanPy 2.0.9 SparseOTF", walked, whole, vectors), compiled


def timed(call: Any) -> tuple[tuple[float, float], Any]:
    """Seconds of the wall clock and of the processors, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


def show_speed(title: str, runs: list[Run]) -> None:
    """Seconds, and how many times as fast as the first run."""
    first = runs[0]
    cells = [
        [
            run.name,
            *(f"{seconds:.2f}" for seconds in (*run.walk, *run.whole)),
            *(f"{a / b:.1f}" for a, b in zip(first.walk, run.walk, strict=True)),
            *(f"{a / b:.2f}" for a, b in zip(first.whole, run.whole, strict=True)),
        ]
        for run in runs
    ]
    header = ["", "walks s", "cpu s", "with training s", "cpu s"]
    header += ["walks, times", "by cpu", "with training, times", "by cpu"]
    print_table(title, header, cells)


def show_quality(name: str, runs: list[Run], labels: Any, splits: int) -> None:
    """F1 over the splits, mean and standard deviation."""
    cells = []
    for run in runs:
        line = [run.name]
        for known in (True, False):
            found = classify_nodes(run.vectors, labels, splits=splits, known_counts=known)
            both = (found.macro_f1, found.micro_f1)
            line += [f"{each.mean():.4f} +- {each.std():.4f}" for each in both]
        cells.append(line)
    header = ["", "macro F1, counts known", "micro", "macro F1, not known", "micro"]
    title = f"{name}: half the nodes train, {splits} splits; paper, macro {PAPER[name]}"
    print_table(title, header, cells)


if __name__ == "__main__":
    main()
