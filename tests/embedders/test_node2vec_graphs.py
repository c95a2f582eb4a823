"""Graphs from files of every kind."""

import gzip
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import csc_matrix

from embedders.errors import OptionError
from embedders.node2vec.graph import Graph
from embedders.node2vec.matrices import graph_of_data
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.reading import read_graph
from embedders.options import read_options

DATA = Path(__file__).parents[3] / "shared" / "data" / "graphs"


def links(graph: Graph) -> dict[tuple[str, str], float]:
    weights = np.ones(graph.links) if graph.weights is None else graph.weights
    pairs = zip(graph.sources(), graph.indices, weights, strict=True)
    return {(graph.names[a], graph.names[b]): float(w) for a, b, w in pairs}


def read(tmp_path: Path, content: str | bytes, name: str = "edges.txt", **options: Any) -> Graph:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_graph(path, read_options(GraphOptions, options, "graph"))


BOTH = {("a x", "b"): 2.0, ("b", "a x"): 2.0, ("b", "ç"): 0.5, ("ç", "b"): 0.5}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.tsv", "a x\tb\t2\nb\tç\t0.5\n"),
        ("e.tsv", "\ufeff# names\n\na x\tb\t2\r\nb\tç\t.5"),
        ("e.csv", "a x,b,2\nb,ç,0.5\n"),
        ("e.csv", '% names\n"a x","b",2e0\nb,ç,0.5\n'),
        ("e.txt", "a x\tb\t2\nb\tç\t0.5\n"),
    ],
)
def test_edge_lists_of_every_kind_are_one_graph(name: str, content: str, tmp_path: Path) -> None:
    assert links(read(tmp_path, content, name)) == BOTH
    assert links(read(tmp_path, gzip.compress(content.encode()), name + ".gz")) == BOTH
    one_way = links(read(tmp_path, content, name, directed=True))
    assert one_way == {edge: BOTH[edge] for edge in [("a x", "b"), ("b", "ç")]}


def test_white_space_headers_and_columns_to_ignore(tmp_path: Path) -> None:
    assert links(read(tmp_path, "1 2\n 2   3 \n")) == dict.fromkeys(
        [("1", "2"), ("2", "1"), ("2", "3"), ("3", "2")], 1.0
    )
    content = "from to when much\n1 2 3 4\n2 3 4 5\n"
    graph = read(tmp_path, content, header=True, weights="ignore")
    assert graph.weights is None
    assert set(graph.names) == {"1", "2", "3"}


@pytest.mark.parametrize("weights", ["1 2 3\n2 3 3\n", "1 2 3\n2 3 3\n1 2 3\n"])
def test_equal_weights_are_no_weights(weights: str, tmp_path: Path) -> None:
    assert read(tmp_path, weights).weights is None


def test_duplicates_as_asked(tmp_path: Path) -> None:
    content = "a b 1\nb c 1\nb a 2\n"
    with pytest.raises(OptionError, match=r"line 1 and .*line 3.*weights 1 and 2.*'sum' or 'last'"):
        read(tmp_path, content)
    assert links(read(tmp_path, content, duplicates="sum"))["a", "b"] == 3
    assert links(read(tmp_path, content, duplicates="last"))["a", "b"] == 2
    assert links(read(tmp_path, content, directed=True))["b", "a"] == 2
    same = read(tmp_path, "a b\nb a\nb c\n")
    assert same.notes == ("1 edges stood there more than once",)


def test_loops_as_asked(tmp_path: Path) -> None:
    kept = read(tmp_path, "a a\na b\n")
    assert links(kept) == {("a", "a"): 1.0, ("a", "b"): 1.0, ("b", "a"): 1.0}
    assert "1 edges lead from a node to itself" in kept.notes[0]
    dropped = read(tmp_path, "a a\na b\n", self_loops="drop")
    assert ("a", "a") not in links(dropped)
    with pytest.raises(OptionError, match="every edge"):
        read(tmp_path, "a a\n", self_loops="drop")


@pytest.mark.parametrize(
    ("content", "options", "field", "message"),
    [
        (b"", {}, "source", "there are no edges"),
        (b"# only\n\n", {}, "source", "there are no edges"),
        (b"a b\nb\n", {}, "source", "line 2 has 1 field.*delimiter"),
        (b"a b 1\n\nb c\n", {}, "source", "line 3 has 2 fields, not 3"),
        (b"a b\nb c 1\n", {}, "source", "line 2 has 3 fields, not 2.*'ignore'"),
        (b"a b 1 2\n", {}, "source", "line 1 has 4 fields"),
        (b"a\t\t1\n", {}, "source", "line 1: a node without a name"),
        (b"\tb\n", {}, "source", "line 1: a node without a name"),
        (b"a b 1\nb c -2\n", {}, "source", "line 2: the weight -2 of the edge 'b' to 'c'"),
        (b"a b 0\n", {}, "source", "line 1: the weight 0"),
        (b"a b 1\nb c nan\n", {}, "source", "line 2: the weight nan"),
        (b"a b 1\nb c 1e300\n", {}, "source", "line 2: the weight 1e[+]300"),
        (b"a b w\n", {}, "source", "line 1: the weight 'w' is not a number; set header"),
        (b"a b 1\nb c x\n", {}, "source", "line 2: the weight 'x' is not a number$"),
        (b"a b\nb \xff\n", {}, "source", "line 2 is not UTF-8"),
        (gzip.compress(b"a b\n" * 999)[:-9], {}, "source", "damaged or cut off"),
        (b'"a\nb",c\n', {"delimiter": "comma"}, "source", "line 1: a quote is not closed"),
        (b"a b\n", {"delimiter": "semicolon"}, "delimiter", "'auto', 'tab', 'comma' or 'space'"),
    ],
)
def test_what_is_no_graph_names_the_line(
    content: bytes, options: dict[str, str], field: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        read(tmp_path, content, **options)
    assert caught.value.field == field


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    edges=st.dictionaries(
        st.tuples(NAMES, NAMES), st.floats(0.125, 1000, width=32), min_size=1, max_size=30
    ),
    directed=st.booleans(),
)
def test_graphs_equal_networkx(
    edges: dict[tuple[str, str], float], directed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = {e: w for e, w in edges.items() if not e[0].startswith(("#", "%"))}
    if not kept:
        return
    content = "".join(f"{a}\t{b}\t{w!r}\n" for (a, b), w in kept.items())
    folder = tmp_path_factory.mktemp("graph")
    graph = read(folder, content, "g.tsv", directed=directed, duplicates="last")
    theirs = nx.DiGraph() if directed else nx.Graph()
    theirs.add_weighted_edges_from([(a, b, w) for (a, b), w in kept.items()])
    expected = {(a, b): w for a, b, w in theirs.edges(data="weight")}
    if not directed:
        expected |= {(b, a): w for (a, b), w in expected.items()}
    ours = links(graph)
    assert set(ours) == set(expected)
    if graph.weights is not None:
        assert ours == pytest.approx(expected)
    rows = np.split(graph.indices, graph.indptr[1:-1])
    assert all((np.diff(row) > 0).all() for row in rows)


def matrix() -> NDArray[np.float64]:
    found = np.zeros((4, 4))
    found[0, 1] = found[1, 0] = 2.0
    found[1, 2] = found[2, 1] = 1.0
    return found


@pytest.mark.parametrize("kind", [np.asarray, csc_matrix])
def test_matrices_of_matlab(kind: type, tmp_path: Path) -> None:
    path = tmp_path / "g.mat"
    savemat(path, {"network": kind(matrix()), "other": np.zeros((2, 3))})
    graph = read_graph(path)
    expected = {("0", "1"): 2.0, ("1", "0"): 2.0, ("1", "2"): 1.0, ("2", "1"): 1.0}
    assert (len(graph), links(graph)) == (4, expected)
    with pytest.raises(OptionError, match=r"no variable 'net'; there are: network, other"):
        read_graph(path, GraphOptions(variable="net"))
    with pytest.raises(OptionError, match="no square matrix"):
        read_graph(path, GraphOptions(variable="other"))
    savemat(path, {"network": kind(np.triu(matrix()))})
    with pytest.raises(OptionError, match=r"edge 0 to 1: no such edge.*set directed") as caught:
        read_graph(path)
    assert caught.value.field == "directed"
    assert links(read_graph(path, GraphOptions(directed=True))) == {
        ("0", "1"): 2.0,
        ("1", "2"): 1.0,
    }
    path.write_bytes(b"no matlab file")
    with pytest.raises(OptionError, match="not a MATLAB file, or damaged"):
        read_graph(path)


def test_data_of_torch_geometric(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is missing")
    data_module = pytest.importorskip("torch_geometric.data", reason="torch-geometric is missing")
    index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    weight = torch.tensor([2.0, 2.0, 1.0, 1.0])
    data = data_module.Data(edge_index=index, edge_weight=weight, num_nodes=4)
    graph = graph_of_data(data)
    expected = {("0", "1"): 2.0, ("1", "0"): 2.0, ("1", "2"): 1.0, ("2", "1"): 1.0}
    assert (len(graph), links(graph)) == (4, expected)
    torch.save(data, tmp_path / "data.pt")
    assert links(read_graph(tmp_path / "data.pt")) == expected
    torch.save({"edge_index": index, "names": ["x", "y", "z"]}, tmp_path / "plain.pt")
    named = read_graph(tmp_path / "plain.pt")
    assert set(named.names) == {"x", "y", "z"}
    torch.save({"edge_index": index, "names": ["x", "y"]}, tmp_path / "short.pt")
    with pytest.raises(OptionError, match="beyond the 2 nodes"):
        read_graph(tmp_path / "short.pt")
    torch.save({"x": index}, tmp_path / "none.pt")
    with pytest.raises(OptionError, match="no edge_index"):
        read_graph(tmp_path / "none.pt")


def test_a_pt_file_with_code_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is missing")
    torch.save({"edge_index": Path("x")}, tmp_path / "code.pt")
    with pytest.raises(OptionError, match="cannot be loaded safely"):
        read_graph(tmp_path / "code.pt")


@pytest.mark.parametrize(("name", "nodes"), [("ppi", 3890), ("wikipedia_pos", 4777)])
def test_the_graphs_of_the_paper(name: str, nodes: int) -> None:
    path = DATA / f"{name}.mat"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    graph = read_graph(path)
    assert len(graph) == nodes
    assert (graph.weights is None) == (name == "ppi")
