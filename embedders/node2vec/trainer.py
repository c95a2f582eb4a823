"""Training of node2vec: a graph in, a vocabulary of nodes out.

Walks as `steps` draws them, then skip-gram with negative sampling as `skipgram` has it (Grover and
Leskovec, "node2vec: Scalable Feature Learning for Networks", 2016).
"""

import hashlib
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from embedders.errors import OptionError
from embedders.formats import read_vocabulary, save_safetensors
from embedders.node2vec.corpus import WalkCorpus
from embedders.node2vec.graph import Graph
from embedders.node2vec.params import Node2VecParams, Trainer
from embedders.node2vec.reading import read_graph
from embedders.node2vec.walker import Walker, WalkPlan
from embedders.registry import import_target
from embedders.training import Progress, TrainingReport, silent
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

#: trainer -> "module:function", imported when used
FITTERS = {
    Trainer.NUMBA: "embedders.node2vec.hogwild:train_hogwild",
    Trainer.GENSIM: "embedders.node2vec.gensim_trainer:train_gensim",
    Trainer.TORCH: "embedders.node2vec.torch_trainer:train_torch",
}


@dataclass(slots=True)
class Timings:
    """Seconds of the stages, as metrics."""

    metrics: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def note(self, name: str) -> None:
        """The stage that ends now."""
        now = time.perf_counter()
        self.metrics[f"{name}_seconds"] = now - self.started
        self.started = now


def train_node2vec(
    source: Path,
    out: Path,
    params: Node2VecParams | None = None,
    progress: Progress = silent,
) -> TrainingReport:
    """Trains vectors of nodes and writes them as a safetensors vocabulary, by falling degree.

    Args:
        source: an edge list, .mat, or .pt, as `read_graph` reads it.
        out: the file to write; counts are degrees, metadata tell data, parameters and versions.
        progress: told the stages "read", "walk" and "train" (in blocks of walks).

    Raises:
        OptionError: the graph cannot be read, or no node is left.
        MissingExtraError: a package is not installed.
    """
    params = params or Node2VecParams()
    progress("read", 0, 1)
    timings = Timings()
    graph, left_out = drop_nodes(read_graph(source, params.graph), params.min_degree)
    timings.note("read")
    vectors = embed_graph(graph, params, progress, timings)
    told = {
        **describe(graph, left_out),
        "graph_sha256": file_hash(source),
        "numba": version("numba"),
        **{name: f"{value:.6g}" for name, value in timings.metrics.items()},
    }
    vocabulary = by_degree(graph, vectors)
    save_safetensors(out, vocabulary, "node2vec", asdict(params), params.storage, told)
    # of the file as stored: int8 and float16 change the rows
    revision = read_vocabulary(out).revision
    metrics = {**timings.metrics, "nodes": float(len(graph)), "links": float(graph.links)}
    warnings = graph.notes
    if left_out:
        reason = f"{left_out} nodes have fewer than {params.min_degree} links and were left out"
        warnings = (*warnings, reason)
    return TrainingReport("node2vec", out, len(graph), params.dim, revision, metrics, warnings)


def embed_graph(
    graph: Graph,
    params: Node2VecParams,
    progress: Progress = silent,
    timings: Timings | None = None,
) -> FloatRows:
    """Vectors of a graph's nodes, float32 (n, d), in their order."""
    timings = timings or Timings()
    plan = WalkPlan(params.walks, params.length, params.p, params.q, params.seed)
    fit = import_target(FITTERS[params.trainer], "training node2vec", "graphs")
    corpus = WalkCorpus(Walker(graph, plan), params.threads, progress)
    timings.note("walk")
    vectors: FloatRows = fit(corpus, params, progress)
    timings.note("train")
    timings.metrics["visits"] = float(corpus.visits.sum())
    return vectors


def drop_nodes(graph: Graph, min_degree: int) -> tuple[Graph, int]:
    """The graph of the nodes with so many links, and how many nodes were left out.

    A node whose neighbours were all left out goes too.

    Raises:
        OptionError: none is left.
    """
    kept = graph.part(graph.degrees() >= min_degree)
    kept = kept.part(kept.degrees() > 0)
    if not len(kept):
        message = f"none of the {len(graph)} nodes has {min_degree} links: lower min_degree"
        raise OptionError("min_degree", message)
    return kept, len(graph) - len(kept)


def by_degree(graph: Graph, vectors: FloatRows) -> Vocabulary:
    """Nodes in descending order of degree, ties as the file had them; counts are degrees."""
    degrees = graph.degrees()
    order = np.argsort(-degrees, kind="stable")
    return Vocabulary([graph.names[i] for i in order], vectors[order], degrees[order])


def describe(graph: Graph, left_out: int) -> dict[str, str]:
    """What a file tells of the graph it was trained on."""
    return {
        "graph_nodes": str(len(graph)),
        "graph_links": str(graph.links),
        "graph_directed": str(graph.directed).lower(),
        "graph_weighted": str(graph.weights is not None).lower(),
        "nodes_left_out": str(left_out),
    }


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
