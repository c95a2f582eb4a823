"""Lines of edge lists: names with signs, comments, and what networkx writes."""

from pathlib import Path

import networkx
import pytest

from latentspace_text import EdgeFormat, read_lines


def _edges(text: str, delimiter: str = "") -> list[list[str]]:
    fields = EdgeFormat.of(text.split("\n"), delimiter).splitter()
    return [row for row in map(fields, text.split("\n")) if row]


def test_names_may_begin_with_comment_signs() -> None:
    assert _edges("#a\t#b\n%E4\tpage\n#\thash") == [["#a", "#b"], ["%E4", "page"], ["#", "hash"]]
    assert _edges("#a %b\n%E4 page") == [["#a", "%b"], ["%E4", "page"]]


def test_comments_are_a_sign_and_a_space() -> None:
    text = "# Nodes: 2, Edges: 1\n# FromNodeId\tToNodeId\n#\n% sym unweighted\n## more\n0\t1"
    assert _edges(text) == [["0", "1"]]


def test_names_have_no_space_around() -> None:
    assert _edges('a, b\n"c, d", e\n f ,g') == [["a", "b"], ["c, d", "e"], ["f", "g"]]
    assert _edges("a \t b") == [["a", "b"]]
    assert _edges('" a",b') == [[" a", "b"]]


@pytest.mark.parametrize("line", ['"a,b', '"a"x,b'])
def test_broken_quotes_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        _edges(line)


@pytest.mark.parametrize("weight", [None, 2.5])
def test_what_networkx_writes_by_default(weight: float | None, tmp_path: Path) -> None:
    graph = networkx.Graph()
    for i in range(30):
        known = {} if weight is None else {"weight": weight, "kind": "a, {b}"}
        graph.add_edge(i, (i * 7 + 1) % 31, **known)
    networkx.write_edgelist(graph, tmp_path / "x.edgelist")
    texts = [line.text for line in read_lines(tmp_path / "x.edgelist")]
    read = {(*row[:2], float(row[2])) for row in _edges("\n".join(texts))}
    assert read == {(str(a), str(b), weight or 1.0) for a, b in graph.edges}


def test_attributes_that_are_no_plain_values_are_refused() -> None:
    with pytest.raises(ValueError, match="attributes"):
        _edges("a b {'weight': open('x')}")
