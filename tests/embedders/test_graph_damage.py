"""Graph files, damaged or oddly typed: read right, or refused by an error that names them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io.matlab
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix, issparse

from embedders.errors import OptionError
from embedders.evaluation.labels import read_labels
from embedders.formats.matlab import read_matrix
from embedders.node2vec.reading import read_graph

torch = pytest.importorskip("torch", reason="torch is missing")

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
EXAMPLES = 10_000 if LONG else 150
SCIPYS = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
INDEX = [[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]
EDGES = {("0", "1"), ("1", "0"), ("1", "2"), ("2", "1"), ("2", "0"), ("0", "2")}


def saved(path: Path, content: dict[str, Any]) -> Path:
    torch.save(content, path)
    return path


def edges(path: Path) -> dict[tuple[str, str], float]:
    graph = read_graph(path)
    weights = np.ones(graph.links) if graph.weights is None else graph.weights
    pairs = zip(graph.sources(), graph.indices, weights, strict=True)
    return {(graph.names[a], graph.names[b]): float(w) for a, b, w in pairs}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int32"])
def test_weights_of_every_number_format(dtype: str, tmp_path: Path) -> None:
    weight = torch.tensor([1, 1, 2, 2, 3, 3], dtype=getattr(torch, dtype))
    path = saved(tmp_path / "g.pt", {"edge_index": torch.tensor(INDEX), "edge_weight": weight})
    expected = {("0", "1"): 1, ("1", "2"): 2, ("2", "0"): 3}
    assert edges(path) == expected | {(b, a): w for (a, b), w in expected.items()}


@pytest.mark.parametrize("upper", [False, True])
def test_names_that_are_numbers(upper: bool, tmp_path: Path) -> None:
    content = {"edge_index": torch.tensor(INDEX), "names": [1, 2, 3]}
    path = saved(tmp_path / ("G.PT" if upper else "g.pt"), content)
    assert sorted(read_graph(path).names) == ["1", "2", "3"]


@pytest.mark.parametrize("kind", [list, torch.tensor, lambda i: torch.tensor(i).float()])
def test_edges_as_lists_and_tensors(kind: Callable[[Any], Any], tmp_path: Path) -> None:
    assert set(edges(saved(tmp_path / "g.pt", {"edge_index": kind(INDEX)}))) == EDGES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"edge_index": [[0, 1], [1]]}, "ValueError"),
        ({"edge_index": "abc"}, "numbers expected"),
        ({"edge_index": torch.tensor([[0.5], [1]])}, "not whole"),
        ({"edge_index": torch.tensor([0, 1])}, "no edge_index of shape"),
        ({"edge_index": torch.tensor([[0], [-1]])}, "leads beyond"),
        ({"edge_index": torch.tensor([[0], [1 << 40]])}, "nodes, but only 1 edges"),
        ({"edge_index": torch.tensor([[0], [1]]), "num_nodes": "many"}, "ValueError"),
        ({"edge_index": torch.tensor([[0], [1]]), "num_nodes": 1 << 40}, "only 1 edges"),
        ({"edge_index": torch.tensor(INDEX), "edge_weight": torch.ones(2)}, "2 edge_weight for 6"),
        ({"edge_index": torch.tensor(INDEX), "edge_weight": "heavy"}, "numbers expected"),
        ({"edge_index": torch.tensor(INDEX), "names": ["a", "b", "a"]}, "the name 'a'"),
        ({"edge_index": torch.tensor(INDEX), "names": ["a", None, "b"]}, "not None"),
        ({"edge_index": torch.tensor(INDEX), "names": 7}, "TypeError"),
    ],
)
def test_odd_contents_name_the_file(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "g.pt", content)
    with pytest.raises(OptionError, match=message) as caught:
        read_graph(path)
    assert str(path) in str(caught.value)


def test_an_index_beyond_a_sparse_matrix_is_refused(tmp_path: Path) -> None:
    matrix = csc_matrix(np.array([[0, 1.0], [1, 0]]))
    matrix.indices[0] = 40_000_000
    savemat(tmp_path / "g.mat", {"network": matrix})
    with pytest.raises(OptionError, match=r"g.mat.*a row beyond the 2"):
        read_graph(tmp_path / "g.mat")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "float32", "float64", "bool"]
)
@pytest.mark.parametrize("sparse", [False, True])
def test_matrices_of_every_number_format_equal_scipys(
    compressed: bool, dtype: str, sparse: bool, tmp_path: Path
) -> None:
    values = np.random.default_rng(5).integers(0, 2, (7, 7)).astype(dtype)
    content = {"other": "text", "network": csc_matrix(values) if sparse else values, "z": [1, 2]}
    savemat(tmp_path / "g.mat", content, do_compression=compressed)
    theirs = loadmat(tmp_path / "g.mat")["network"]
    ours = read_matrix(tmp_path / "g.mat", "network")
    np.testing.assert_array_equal(
        ours.toarray() if sparse else ours, theirs.toarray() if sparse else theirs
    )
    with pytest.raises(KeyError, match=r"\['network', 'other', 'z'\]"):
        read_matrix(tmp_path / "g.mat", "none")


@pytest.mark.parametrize("name", sorted(path.name for path in SCIPYS.glob("test*.mat")))
def test_the_files_of_scipys_own_tests(name: str) -> None:
    """Written by MATLAB 4 to 7.4 on machines of both byte orders."""
    try:
        theirs = loadmat(SCIPYS / name)
    except Exception as error:
        pytest.skip(f"scipy itself refuses it: {error}")
    for key, value in theirs.items():
        if isinstance(value, bytes) or key.startswith("__"):
            continue
        matrix = issparse(value) or isinstance(value, np.ndarray)
        numeric = matrix and value.dtype.kind in "biuf"
        if not numeric:
            continue
        ours = read_matrix(SCIPYS / name, key)
        theirs_dense = value.toarray() if issparse(value) else value
        ours_dense = ours.toarray() if issparse(ours) else ours
        np.testing.assert_array_equal(ours_dense, theirs_dense)


def mat_file(folder: Path) -> Path:
    dense = np.zeros((5, 5))
    dense[[0, 1, 2], [1, 2, 3]] = dense[[1, 2, 3], [0, 1, 2]] = 2.5
    group = csc_matrix(np.eye(5))
    savemat(folder / "g.mat", {"network": csc_matrix(dense), "group": group}, do_compression=True)
    return folder / "g.mat"


def mat4_file(folder: Path) -> Path:
    savemat(folder / "g.mat", {"network": csc_matrix(np.ones((3, 3)))}, format="4")
    return folder / "g.mat"


def plain_mat_file(folder: Path) -> Path:
    contents = {"network": csc_matrix(np.ones((4, 4))), "group": np.eye(4)}
    savemat(folder / "g.mat", contents)
    return folder / "g.mat"


def pt_file(folder: Path) -> Path:
    content = {
        "edge_index": torch.tensor(INDEX),
        "edge_weight": torch.ones(6),
        "names": list("abc"),
    }
    return saved(folder / "g.pt", content)


def edge_file(folder: Path) -> Path:
    (folder / "g.csv").write_text('source,target\n"a, b",c\nd,e\n', encoding="utf-8")
    return folder / "g.csv"


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    make=st.sampled_from([mat_file, mat4_file, plain_mat_file, pt_file, edge_file]),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_flipped_bytes_and_cut_ends(
    make: Callable[[Path], Path],
    flips: list[tuple[float, int]],
    cut: float | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A damaged file is read, or refused by an error that names it; nothing else is raised."""
    path = make(tmp_path_factory.mktemp("damage", numbered=True))
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[int(place * (len(content) - 1))] = value
    path.write_bytes(content if cut is None else content[: int(cut * len(content))])
    readers: list[Callable[[Path], Any]] = [read_graph]
    if path.suffix == ".mat":
        readers.append(read_labels)
    refusals = [str(error) for error in map(partial(refusal, path), readers) if error]
    assert all(path.name in text for text in refusals)
    path.unlink()


def refusal(path: Path, read: Callable[[Path], Any]) -> OptionError | None:
    try:
        read(path)
    except OptionError as error:
        return error
    return None
