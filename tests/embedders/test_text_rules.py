"""Edge lists, corpora, labels and test sets by the one set of rules for text files."""

import gzip
import lzma
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from safetensors.numpy import save_file

from embedders.errors import OptionError
from embedders.evaluation.judgements import read_judgements
from embedders.evaluation.labels import read_labels
from embedders.evaluation.words import read_lines
from embedders.formats import VocabularyFormat, sniff
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import GraphOptions
from embedders.node2vec.reading import read_graph
from embedders.word2vec.corpus import open_corpus

LETTERS = ["\u2028", "\x85", "\x0c", "\x0b", "\x1c"]


def read(path: Path, content: str | bytes) -> Graph:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_graph(path, GraphOptions())


def edges(graph: Graph) -> int:
    return graph.links // 2


def test_names_that_begin_with_comment_signs(tmp_path: Path) -> None:
    names = [f"#tag{i}" if i % 3 else f"tag{i}" for i in range(61)]
    lines = "".join(f"{a}\t{b}\n" for a, b in pairwise(names))
    graph = read(tmp_path / "hash.tsv", lines)
    assert (edges(graph), set(graph.names), graph.notes) == (60, set(names), ())
    percent = read(tmp_path / "percent.tsv", lines.replace("#tag", "%E4"))
    assert edges(percent) == 60
    commented = read(tmp_path / "snap.tsv", f"# FromNodeId\tToNodeId\n#\n\n% sym\n{lines}")
    assert edges(commented) == 60
    assert commented.notes == ("4 lines hold no edge and were left out (1 blank, 3 comments)",)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_what_networkx_writes(weight: float | None, tmp_path: Path) -> None:
    graph = nx.circulant_graph(30, [1, 7])
    if weight:
        nx.set_edge_attributes(graph, weight, "weight")
    nx.write_edgelist(graph, tmp_path / "nx.edgelist")
    found = read_graph(tmp_path / "nx.edgelist", GraphOptions())
    pairs = zip(found.sources(), found.indices, strict=True)
    ours = {frozenset((int(found.names[a]), int(found.names[b]))) for a, b in pairs}
    assert ours == {frozenset(edge) for edge in graph.edges()}
    assert len(ours) == 60


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_line_ends_of_unicode_are_letters_of_a_name(
    letter: str, delimiter: str, tmp_path: Path
) -> None:
    graph = read(tmp_path / "e", f"a{letter}b{delimiter}c\nc{delimiter}d{letter}e\n")
    assert set(graph.names) == {f"a{letter}b", "c", f"d{letter}e"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", ["\t", ", ", " "])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_marks_line_ends_and_spaces_change_no_name(
    end: str, mark: str, delimiter: str, pack: type, tmp_path: Path
) -> None:
    text = mark + end.join(delimiter.join(edge) for edge in (("king", "b"), ("b", "c"))) + end
    assert read(tmp_path / "e", pack(text.encode())).names == ["king", "b", "c"]


def test_labels_name_nodes_as_edge_lists_do(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\ufeff#a x\n# note\nb\ty z\nNew York\tx\n", encoding="utf-8")
    found = read_labels(path)
    assert found.nodes == ["#a", "b", "New York"]
    np.testing.assert_array_equal(found.labels, [[1, 0, 0], [0, 1, 1], [1, 0, 0]])


def test_files_of_test_sets(tmp_path: Path) -> None:
    path = tmp_path / "set.tsv"
    path.write_bytes("\ufeff#king\tqueen\t5\r\n# note\r\na\u2028b\tc\t1\r\n".encode())
    found = read_judgements(path, 3, 1, 2)
    assert (found.first, found.second) == (["#king", "a\u2028b"], ["queen", "c"])
    path.write_bytes(b"a\nb\xff\n")
    with pytest.raises(OptionError, match=r"set.tsv: line 2 is not UTF-8"):
        read_lines(path)


def test_a_corpus_leaves_out_lines_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes("\ufeffking a\u2028b\nx\u00a0y\n".encode() + b"b\xffd\nlast \x00\nlast\n")
    with open_corpus(path) as corpus:
        assert corpus.path.read_bytes() == b"king a b\nx y\nlast\n"
        assert (corpus.lines, corpus.words) == (5, 6)
        assert corpus.notes() == (
            "2 lines are not UTF-8 or have a NUL: left out, the first is line 3",
        )


def test_a_safetensors_header_as_long_as_a_pickle_begins(tmp_path: Path) -> None:
    """Its first bytes are those of a pickle of protocol 3."""
    path = tmp_path / "m.safetensors"
    tensors = {"a": np.zeros(1, np.float32)}
    for padding in range(0x380):
        save_file(tensors, path, {"x": "y" * padding})
        if path.read_bytes()[:2] == b"\x80\x03":
            break
    assert path.read_bytes()[:2] == b"\x80\x03"
    assert sniff(path) is VocabularyFormat.SAFETENSORS
