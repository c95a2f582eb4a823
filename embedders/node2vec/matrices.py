"""Graphs from matrices (.mat) and from torch-geometric's Data (.pt, or in memory)."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError  # nothing is unpickled: torch.load refuses with it
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import MissingExtraError, OptionError
from embedders.node2vec.building import Edges, build_graph
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import GraphOptions


def read_mat(path: Path, options: GraphOptions) -> Edges:
    """Edges of a MATLAB file: `options.variable` is its square matrix; nodes are named 0, 1, ...

    Raises:
        OptionError: not such a file, or no such matrix in it.
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as error:
        raise MissingExtraError("a .mat file", "scipy", "graphs") from error
    try:
        found = loadmat(path)
    except NotImplementedError:
        message = f"{path}: MATLAB 7.3 (HDF5) is not read: save with '-v7'"
        raise OptionError("source", message) from None
    except (MatReadError, ValueError, TypeError, OSError, EOFError) as error:
        raise OptionError("source", f"{path}: not a MATLAB file, or damaged: {error}") from error
    if options.variable not in found:
        known = ", ".join(sorted(name for name in found if not name.startswith("__")))
        message = f"{path}: there is no variable {options.variable!r}; there are: {known}"
        raise OptionError("variable", message)
    return matrix_edges(found[options.variable], f"{path}: {options.variable}")


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
        with torch.serialization.safe_globals(_data_types()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise OptionError(
            "source",
            f"{path}: cannot be loaded safely: it is damaged, or holds other than tensors, plain "
            "types and torch-geometric's Data: save a dict with edge_index and edge_weight",
        ) from error
    return data_edges(found, str(path))


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

    Raises:
        OptionError: no edges, or shapes that do not fit.
    """

    def get(name: str) -> Any:
        return data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)

    index = get("edge_index")
    if index is None or len(index.shape) != 2 or index.shape[0] != 2:
        raise OptionError("source", f"{what}: there is no edge_index of shape (2, edges)")
    rows, columns = np.asarray(index, np.int64)
    attribute = get("edge_weight")
    if attribute is None:
        attribute = get("edge_attr")
    weights = None
    if attribute is not None and attribute.numel() == len(rows):
        weights = np.asarray(attribute, np.float64).reshape(-1)
    names, nodes = get("names"), get("num_nodes")
    largest = int(max(rows.max(initial=-1), columns.max(initial=-1))) + 1
    n = len(names) if names is not None else int(nodes or largest)
    if n < largest or min(rows.min(initial=0), columns.min(initial=0)) < 0:
        raise OptionError("source", f"{what}: edge_index leads beyond the {n} nodes")
    return _edges(what, rows, columns, weights, n, names)


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
    def place(i: int) -> str:
        return what if i < 0 else f"{what}: edge {rows[i]} to {columns[i]}"

    named = [str(i) for i in range(n)] if names is None else list(names)
    return Edges(named, rows, columns, weights, place, both_ways=True)
