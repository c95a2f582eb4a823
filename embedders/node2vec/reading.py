"""A graph from a file of any known kind."""

from pathlib import Path

from embedders.errors import OptionError
from embedders.node2vec.building import Edges, build_graph
from embedders.node2vec.edgelist import read_edges
from embedders.node2vec.graph import Graph
from embedders.node2vec.matrices import read_data, read_mat
from embedders.node2vec.options import GraphOptions


def read_graph(path: Path, options: GraphOptions | None = None) -> Graph:
    """The graph of a file: .mat, .pt (torch-geometric's Data), or else an edge list.

    Raises:
        OptionError: what cannot be read; names the place and the cure.
        MissingExtraError: a package is not installed.
    """
    options = options or GraphOptions()
    return build_graph(_read(path, options), options)


def _read(path: Path, options: GraphOptions) -> Edges:
    if not path.is_file():
        raise OptionError("source", f"{path}: no such file")
    kind = path.suffix.lower()
    if kind == ".mat":
        return read_mat(path, options)
    return read_data(path) if kind == ".pt" else read_edges(path, options)
