"""Graphs from matrices (.mat) and from torch-geometric's Data (.pt, or in memory)."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError  # nothing is unpickled: torch.load refuses with it
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.damage import naming
from embedders.errors import MissingExtraError, ModelFormatError, OptionError
from embedders.formats.matlab import read_matrix
from embedders.node2vec.building import Edges, build_graph
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import GraphOptions

# more nodes than this are not believed of a matrix
NODES_WITHOUT_EDGES, NODES_AN_EDGE = 10_000_000, 100


def read_mat(path: Path, options: GraphOptions) -> Edges:
    """Edges of a MATLAB file: `options.variable` is its square matrix; nodes are named 0, 1, ...

    Raises:
        OptionError: not such a file, or no such matrix in it.
        MissingExtraError: scipy is not installed.
    """
    name = options.variable
    with naming(path, _refused, "a MATLAB file"):
        try:
            matrix = read_matrix(path, name)
        except KeyError as error:
            known = ", ".join(error.args[0])
            message = f"{path}: there is no variable {name!r}; there are: {known}"
            raise OptionError("variable", message) from None
        except ModelFormatError as error:
            raise OptionError("source", str(error)) from None
        return matrix_edges(matrix, f"{path}: {name}")


def matrix_edges(matrix: Any, what: str, names: Sequence[str] | None = None) -> Edges:
    """Edges of a square matrix, numpy or scipy sparse: from the row's node to the column's.

    Raises:
        OptionError: not square, or of another type.
    """
    from scipy.sparse import coo_matrix, issparse

    if not issparse(matrix) and np.asarray(matrix).dtype.kind not in "biuf":
        raise OptionError("source", f"{what} is not a matrix of numbers")
    sparse = coo_matrix(matrix)
    if sparse.shape[0] != sparse.shape[1] or sparse.dtype.kind not in "biuf":
        raise OptionError("source", f"{what}: {sparse.shape} of {sparse.dtype} is no square matrix")
    sparse.eliminate_zeros()
    rows, columns = sparse.row.astype(np.int64), sparse.col.astype(np.int64)
    weights = sparse.data.astype(np.float64)
    return _edges(what, rows, columns, weights, sparse.shape[0], names)


def read_data(path: Path) -> Edges:
    """Edges of a torch-geometric `Data`, or of a dict alike, that `torch.save` wrote.

    Only tensors and plain types are loaded, never code.

    Raises:
        OptionError: not such a file.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("a .pt file", "torch", "graphs") from error
    try:
        with warnings.catch_warnings():
            # of packages that are imported, not of this file
            warnings.simplefilter("ignore")
            loaded = _load_tensors(path, torch)
    # the reader of a damaged file raises nearly anything: KeyError, OverflowError ...
    except Exception as error:
        raise OptionError(
            "source",
            f"{path}: cannot be loaded safely: it is damaged, or holds other than tensors, plain "
            "types and torch-geometric's Data: save a dict with edge_index and edge_weight",
        ) from error
    return data_edges(loaded, str(path))


def _load_tensors(path: Path, torch: Any) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        # torch-geometric takes seconds to import, and plain files need it not
        with torch.serialization.safe_globals(_data_types()):
            return torch.load(path, map_location="cpu", weights_only=True)


def _data_types() -> list[Any]:
    """What a Data is made of; a plain dict loads without torch-geometric."""
    try:
        module = import_module("torch_geometric.data")
    except ModuleNotFoundError:
        return []
    own = module.data
    return [module.Data, own.DataEdgeAttr, own.DataTensorAttr, module.storage.GlobalStorage]


def data_edges(data: Any, what: str = "data") -> Edges:
    """Edges of a torch-geometric `Data`: `edge_index` (2, m), `edge_weight` (m,) where it has one.

    A one-column `edge_attr` is a weight too. Nodes are named by the list `names`, or 0, 1, ...
    Tensors of any number format, arrays and plain lists do alike.

    Raises:
        OptionError: no edges, or shapes that do not fit.
    """

    def get(name: str) -> Any:
        return data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)

    with naming(what, _refused, "the edges of a graph"):
        rows, columns = _edge_index(get("edge_index"), what)
        weights = _weights(get("edge_weight"), get("edge_attr"), len(rows), what)
        names, nodes = _names(get("names"), what), get("num_nodes")
        largest = int(max(rows.max(initial=-1), columns.max(initial=-1))) + 1
        n = len(names) if names is not None else int(nodes or largest)
        if n < largest or min(rows.min(initial=0), columns.min(initial=0)) < 0:
            raise OptionError("source", f"{what}: edge_index leads beyond the {n} nodes")
        return _edges(what, rows, columns, weights, n, names)


def _edge_index(value: Any, what: str) -> NDArray[np.int64]:
    """Sources and targets, int64 (2, m)."""
    index = np.empty(0) if value is None else _numbers(value)
    if index.ndim != 2 or index.shape[0] != 2:
        raise OptionError("source", f"{what}: there is no edge_index of shape (2, edges)")
    whole = index.astype(np.int64)
    if (whole != index).any():
        raise OptionError("source", f"{what}: edge_index has numbers that are not whole")
    return whole


def _weights(weight: Any, attribute: Any, edges: int, what: str) -> NDArray[np.float64] | None:
    if weight is not None:
        flat = _numbers(weight).astype(np.float64).reshape(-1)
        if len(flat) != edges:
            raise OptionError("source", f"{what}: {len(flat)} edge_weight for {edges} edges")
        return flat
    if attribute is None:
        return None
    # several columns describe an edge, and are no weight
    flat = _numbers(attribute).astype(np.float64).reshape(-1)
    return flat if len(flat) == edges else None


def _numbers(value: Any) -> NDArray[Any]:
    """A tensor, an array or nested lists as an array of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # numpy has no bfloat16
        value = value.double() if value.is_floating_point() else value
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"numbers expected, not {array.dtype}")
    return array


def _names(value: Any, what: str) -> list[str] | None:
    """Names of the nodes: texts, or whole numbers as texts."""
    if value is None:
        return None
    listed = value.tolist() if hasattr(value, "tolist") else list(value)
    for name in listed:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise OptionError("source", f"{what}: a node's name is a text, not {name!r}")
    names = [str(name) for name in listed]
    if len(set(names)) < len(names):
        again = next(name for name, count in Counter(names).items() if count > 1)
        raise OptionError("source", f"{what}: two nodes have the name {again!r}")
    return names


def graph_of_data(data: Any, options: GraphOptions | None = None) -> Graph:
    """The graph of a torch-geometric `Data` in memory.

    Raises:
        OptionError
    """
    return build_graph(data_edges(data), options or GraphOptions())


def _edges(
    what: str,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    n: int,
    names: Sequence[str] | None,
) -> Edges:
    if n > NODES_WITHOUT_EDGES + NODES_AN_EDGE * len(rows):
        # a flipped bit makes any number of nodes, and each would get a name
        raise OptionError(
            "source", f"{what}: {n} nodes, but only {len(rows)} edges: is it damaged?"
        )

    def place(i: int) -> str:
        return what if i < 0 else f"{what}: edge {rows[i]} to {columns[i]}"

    named = [str(i) for i in range(n)] if names is None else list(names)
    return Edges(named, rows, columns, weights, place, both_ways=True)


def _refused(message: str) -> OptionError:
    return OptionError("source", message)
