"""Communities of a graph: node2vec gives each node a vector, k-means groups the vectors.

    .venv/bin/python examples/graph_communities.py
    .venv/bin/python examples/graph_communities.py edges.tsv --groups 3

Without a file it groups the characters of Les Misérables, whose vectors the service has (model
`nodes`). A file has an edge a line: source, target and perhaps a weight. The service trains on
it and must be allowed to read it:

    LATENTSPACE_ROOTS='["/folder/of/the/file"]' make run

The trained model stays on the service, named by the file's content: a second run only groups.
"""

import argparse
import hashlib
import textwrap
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from latentspace import Client, PermissionDeniedError


def trained(ls: Client, edges: Path) -> str:
    """The id of the model of this edge list, trained where the service has none yet."""
    model = "graph-" + hashlib.sha256(edges.read_bytes()).hexdigest()[:12]
    if model not in {known.id for known in ls.models()}:
        print(f"training {model} on {edges}")
        # a small graph gives few walks, so training goes over them more often
        params = {"dim": 32, "epochs": 10, "alpha": 0.05}
        source = edges.resolve()
        try:
            ls.train("node2vec", source=source, model=model, params=params, load=True, wait=True)
        except PermissionDeniedError as error:
            raise SystemExit(str(error)) from None
    return model


def print_groups(ls: Client, model: str, groups: int) -> None:
    """Groups the nodes and prints them, the largest group and the best connected nodes first."""
    nodes = list(ls.scroll(model, with_vectors=True))
    rows = np.array([node.vector for node in nodes])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)  # k-means then goes by the angle
    group_of = KMeans(groups, n_init=10, random_state=0).fit_predict(rows)
    for rank, group in enumerate(np.argsort(-np.bincount(group_of), kind="stable"), start=1):
        names = [node.id for node, own in zip(nodes, group_of, strict=True) if own == group]
        print(f"group {rank}: {len(names)} nodes")
        print(textwrap.fill(", ".join(names), 96, initial_indent="  ", subsequent_indent="  "))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Find the communities of a graph.")
    parser.add_argument("edges", type=Path, nargs="?")
    parser.add_argument("--groups", type=int, default=6)
    given = parser.parse_args()
    with Client() as ls:
        print_groups(ls, trained(ls, given.edges) if given.edges else "nodes", given.groups)
