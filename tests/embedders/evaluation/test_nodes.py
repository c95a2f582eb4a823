"""Node classification from both kinds of label files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from embedders.errors import OptionError
from embedders.evaluation import run
from embedders.evaluation.labels import read_labels
from embedders.evaluation.node_classification import classify_nodes
from tests.embedders.evaluation.conftest import Lookup

RNG = np.random.default_rng(3)
LABELS = RNG.random((60, 4)) < 0.4
LABELS[7] = False
ROWS = (LABELS @ RNG.standard_normal((4, 8)) + 0.3 * RNG.standard_normal((60, 8))).astype(
    np.float32
)


def test_a_mat_file_and_a_text_file_say_the_same(tmp_path: Path, lookup: Lookup) -> None:
    savemat(tmp_path / "g.mat", {"group": csc_matrix(LABELS.astype(float))})
    lines = [f"{i} {' '.join(map(str, np.flatnonzero(row)))}" for i, row in enumerate(LABELS)]
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    model = lookup([str(i) for i in range(60)], ROWS)
    found = run(model, "node_classification", str(tmp_path / "g.mat"), {"splits": 4})
    expected = classify_nodes(ROWS, LABELS, splits=4)
    macro, micro = found.figures
    assert macro.value == pytest.approx(expected.macro_f1.mean())
    assert micro.value == pytest.approx(expected.micro_f1.mean())
    assert macro.value > 0.7
    assert (macro.items, found.coverage) == (LABELS.any(axis=1).sum(), 1.0)
    assert macro.low <= macro.value <= macro.high
    same = run(model, "node_classification", str(tmp_path / "labels.txt"), {"splits": 4})
    assert same.figures == found.figures
    assert len(read_labels(tmp_path / "labels.txt").nodes) == int(LABELS.any(axis=1).sum())


def test_labels_of_few_nodes_leave_the_figure_in_its_interval(
    tmp_path: Path, lookup: Lookup
) -> None:
    """Half of the splits have no node of a label of two nodes, and count it as 0."""
    rare = np.zeros((60, 20), dtype=bool)
    rare[np.arange(40), np.arange(40) // 2] = True
    labels = np.hstack([LABELS, rare])
    savemat(tmp_path / "g.mat", {"group": csc_matrix(labels.astype(float))})
    model = lookup([str(i) for i in range(60)], ROWS)
    macro, _ = run(model, "node_classification", str(tmp_path / "g.mat")).figures
    assert macro.low < macro.value < macro.high


def test_unknown_nodes_lower_the_coverage(tmp_path: Path, lookup: Lookup) -> None:
    (tmp_path / "l.txt").write_text("".join(f"n{i} {'ab'[i % 2]}\n" for i in range(40)))
    keys = [f"n{i}" for i in range(30)]
    rows = np.array([[i % 2, 1] for i in range(30)], np.float32)
    found = run(lookup(keys, rows), "node_classification", str(tmp_path / "l.txt"))
    assert (found.coverage, found.figures[0].value) == (0.75, 1.0)
    with pytest.raises(OptionError, match=r"l\.txt: 1 nodes"):
        run(lookup(["n3"], rows[:1]), "node_classification", str(tmp_path / "l.txt"))


def test_what_is_no_file_of_labels(tmp_path: Path, lookup: Lookup) -> None:
    model = lookup(["a", "b"], np.eye(2, dtype=np.float32))
    (tmp_path / "broken.mat").write_bytes(b"nothing of the kind")
    savemat(tmp_path / "other.mat", {"matrix": np.eye(3)})
    (tmp_path / "one.txt").write_text("a x\nb x\n")
    for name, said in (
        ("broken.mat", "not a MATLAB 5 file"),
        ("other.mat", "not a MATLAB 5 file"),
        ("one.txt", "two labels"),
    ):
        with pytest.raises(OptionError, match=said):
            run(model, "node_classification", str(tmp_path / name))
