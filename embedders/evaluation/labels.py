"""Labels of nodes, from a .mat file or a text file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from embedders.damage import naming
from embedders.errors import OptionError
from embedders.evaluation.words import read_lines
from embedders.formats.matlab import read_matrix


@dataclass(frozen=True, slots=True)
class NodeLabels:
    """Names of nodes, and which labels each has, bool (nodes, labels)."""

    nodes: list[str]
    labels: NDArray[np.bool_]


def read_labels(path: Path) -> NodeLabels:
    """Labels of nodes; nodes without one are left out.

    A `.mat` file has a matrix `group` (nodes x labels), and its nodes are named by their row,
    "0" and on. In any other file a line is a node's name and its labels, between white space.

    Raises:
        OptionError: the file is not so, or has fewer than two labels.
    """
    found = _mat(path) if path.suffix.lower() == ".mat" else _text(path)
    if found.labels.shape[1] < 2:
        raise OptionError("source", f"{path.name}: nodes of at least two labels are needed")
    return found


def _mat(path: Path) -> NodeLabels:
    with naming(path.name, _refused, "a MATLAB 5 file"):
        try:
            group = read_matrix(path, "group")
        except KeyError:
            message = f"{path.name} is not a MATLAB 5 file with a matrix `group`"
            raise OptionError("source", message) from None
        dense = np.asarray(group.todense() if issparse(group) else group) > 0
        if dense.ndim != 2:
            raise OptionError("source", f"{path.name}: `group` is no matrix")
    labelled = dense.any(axis=1)
    used = dense[:, dense.any(axis=0)]
    return NodeLabels([str(row) for row in np.flatnonzero(labelled)], used[labelled])


def _text(path: Path) -> NodeLabels:
    given: dict[str, set[str]] = {}
    for line in read_lines(path):
        cells = line.split()
        if len(cells) > 1 and not line.startswith("#"):
            given.setdefault(cells[0], set()).update(cells[1:])
    names = sorted({label for labels in given.values() for label in labels})
    place = {name: i for i, name in enumerate(names)}
    labels = np.zeros((len(given), len(names)), np.bool_)
    for row, own in enumerate(given.values()):
        labels[row, [place[name] for name in own]] = True
    return NodeLabels(list(given), labels)


def _refused(message: str) -> OptionError:
    return OptionError("source", message)
