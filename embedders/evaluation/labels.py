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
from latentspace_text.edges import is_comment


@dataclass(frozen=True, slots=True)
class NodeLabels:
    """Names of nodes, and which labels each has, bool (nodes, labels)."""

    nodes: list[str]
    labels: NDArray[np.bool_]


def read_labels(path: Path) -> NodeLabels:
    """Labels of nodes; nodes without one are left out.

    A `.mat` file has a matrix `group` (nodes x labels), and its nodes are named by their row,
    "0" and on. In any other file a line is a node's name and its labels, between white space;
    a name may have spaces where a tab stands behind it. Comments are as in edge lists.

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
    own: dict[str, set[str]] = {}
    for line in read_lines(path):
        name, labels = _split(line)
        if name and labels and not is_comment(line):
            own.setdefault(name, set()).update(labels)
    names = sorted({label for labels in own.values() for label in labels})
    place = {name: i for i, name in enumerate(names)}
    has = np.zeros((len(own), len(names)), np.bool_)
    for row, those in enumerate(own.values()):
        has[row, [place[label] for label in those]] = True
    return NodeLabels(list(own), has)


def _split(line: str) -> tuple[str, list[str]]:
    """The name of a line's node, which may have spaces where a tab ends it, and its labels."""
    if "\t" in line.strip():
        name, _, rest = line.strip().partition("\t")
        return name.strip(), rest.split()
    cells = line.split()
    return (cells[0], cells[1:]) if cells else ("", [])


def _refused(message: str) -> OptionError:
    return OptionError("source", message)
