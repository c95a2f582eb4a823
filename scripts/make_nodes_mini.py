"""Make `nodes-mini`, the small node2vec model shipped in the repository.

    python scripts/make_nodes_mini.py --out embedders/minis/nodes-mini/model.safetensors

The graph is Les Miserables: who appears with whom in the chapters of the novel (Knuth, 1993), as
networkx ships it. Walks are second-order (Grover and Leskovec, "node2vec", 2016): having come
from t to v, the next node x is drawn with probability proportional to a(t, x) * weight(v, x),

    a = 1/p if x is t;  1 if x is linked to t;  1/q otherwise,

and skip-gram with negative sampling learns from the walks as from sentences. One worker and a
fixed seed: a second call gives the same vectors. `--evaluate-only` prints the figures of a file.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from gensim.models import Word2Vec
from numpy.typing import NDArray

from embedders.formats import read_vocabulary, save_safetensors
from embedders.vectors import normalize_rows, top_k
from embedders.vocabulary import Vocabulary

Floats = NDArray[np.float64]


def adjacency(graph: nx.Graph) -> tuple[list[str], Floats]:
    """Names, and the matrix of link weights (n, n)."""
    names = sorted(graph.nodes)
    return names, np.asarray(nx.to_numpy_array(graph, nodelist=names, weight="weight"))


def step(weights: Floats, before: int, now: int, p: float, q: float) -> Floats:
    """Probabilities of the next node, (n,); `before` is -1 at the start of a walk."""
    chances = weights[now].copy()
    if before >= 0:
        chances *= np.where(weights[before] > 0, 1.0, 1.0 / q)
        chances[before] = weights[now, before] / p
    return np.asarray(chances / chances.sum())


def walk(
    weights: Floats, start: int, length: int, p: float, q: float, rng: np.random.Generator
) -> list[int]:
    """One walk of `length` nodes."""
    path = [start]
    while len(path) < length:
        before = path[-2] if len(path) > 1 else -1
        chances = step(weights, before, path[-1], p, q)
        path.append(int(np.searchsorted(chances.cumsum(), rng.random(), side="right")))
    return path


def all_walks(weights: Floats, args: argparse.Namespace) -> list[list[int]]:
    """`args.walks` walks from each node, in shuffled order."""
    rng = np.random.default_rng(args.seed)
    starts = np.repeat(np.arange(len(weights)), args.walks)
    rng.shuffle(starts)
    return [walk(weights, int(s), args.length, args.p, args.q, rng) for s in starts]


def train(names: list[str], walks: list[list[int]], args: argparse.Namespace) -> Vocabulary:
    """Skip-gram over the walks; keys in descending order of visits."""
    sentences = [[names[node] for node in path] for path in walks]
    model = Word2Vec(
        sentences,
        vector_size=args.dim,
        window=args.window,
        negative=args.negative,
        epochs=args.epochs,
        seed=args.seed,
        sg=1,
        sample=0,
        min_count=1,
        workers=1,
    )
    keys = list(model.wv.index_to_key)
    visits = np.array([model.wv.get_vecattr(key, "count") for key in keys], dtype=np.int64)
    return Vocabulary(keys, model.wv.vectors, visits)


def neighbours(vocabulary: Vocabulary) -> list[list[str]]:
    """For each key all others by descending cosine."""
    rows = normalize_rows(vocabulary.vectors)
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    order = top_k(scores, len(rows) - 1)
    return [[vocabulary.keys[i] for i in line] for line in order]


def link_agreement(graph: nx.Graph, vocabulary: Vocabulary) -> tuple[float, float]:
    """Share of a node's deg(v) nearest keys that are its links, over all links; and by chance."""
    right = total = 0
    for key, near in zip(vocabulary.keys, neighbours(vocabulary), strict=True):
        linked = set(graph[key])
        right += len(linked & set(near[: len(linked)]))
        total += len(linked)
    return right / total, float(sum(d * d for _, d in graph.degree)) / total / (len(graph) - 1)


def community_agreement(graph: nx.Graph, vocabulary: Vocabulary, k: int) -> tuple[float, float]:
    """Share of the k nearest keys in the node's own community; and by chance.

    Communities: greedy modularity (Clauset, Newman and Moore, 2004) on the weighted graph.
    """
    groups = nx.community.greedy_modularity_communities(graph, weight="weight")
    member = {name: number for number, group in enumerate(groups) for name in group}
    same = [
        member[other] == member[key]
        for key, near in zip(vocabulary.keys, neighbours(vocabulary), strict=True)
        for other in near[:k]
    ]
    n = len(graph)
    chance = sum(len(group) * (len(group) - 1) for group in groups) / (n * (n - 1))
    return float(np.mean(same)), chance


def evaluate(path: Path) -> None:
    """Print the figures of the model card."""
    graph, vocabulary = nx.les_miserables_graph(), read_vocabulary(path)
    print(f"nodes {len(vocabulary)}, dimension {vocabulary.dim}")
    print("links among nearest: {:.3f} (chance {:.3f})".format(*link_agreement(graph, vocabulary)))
    found = community_agreement(graph, vocabulary, 5)
    print("own community among 5 nearest: {:.3f} (chance {:.3f})".format(*found))
    near = dict(zip(vocabulary.keys, neighbours(vocabulary), strict=True))
    for key in ("Valjean", "Enjolras", "Cosette"):
        print(f"{key}: {', '.join(near[key][:5])}")


def parse_args() -> argparse.Namespace:
    """Read the command line; the defaults are those of the shipped file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--walks", type=int, default=40, help="from each node")
    parser.add_argument("--length", type=int, default=40, help="nodes a walk")
    parser.add_argument("--p", type=float, default=0.25, help="return parameter")
    parser.add_argument("--q", type=float, default=4.0, help="in-out parameter")
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--negative", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evaluate-only", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Make the model (unless told not to) and print its figures."""
    args = parse_args()
    if not args.evaluate_only:
        names, weights = adjacency(nx.les_miserables_graph())
        vocabulary = train(names, all_walks(weights, args), args)
        settings: dict[str, Any] = vars(args)
        params = {k: v for k, v in settings.items() if k not in ("out", "evaluate_only")}
        made_of = {
            "trained_on": "Les Miserables coappearance graph (Knuth 1993), from networkx",
            "networkx": version("networkx"),
            "gensim": version("gensim"),
        }
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_safetensors(args.out, vocabulary, "node2vec", params, metadata=made_of)
    evaluate(args.out)


if __name__ == "__main__":
    main()
