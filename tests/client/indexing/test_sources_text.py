"""Texts, edge lists, standard input, and which source a path is."""

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import networkx
import pytest

from embedders.node2vec.edgelist import read_edges
from embedders.node2vec.options import GraphOptions
from latentspace.enums import FieldType, Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.options import SourceKind, SourceOptions
from latentspace.inputs import ImageInput, KeyInput, TextInput
from tests.client.indexing.reading import fault, opened, read, records, row, until_error

TEXT = "\ufefffirst line\r\n  second\n\n \t\nthird\nfourth"


def test_lines_and_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(TEXT, encoding="utf-8", newline="")
    lines = records(path)
    assert [row(one) for one in lines] == [
        ("1", "first line", {"text": "first line"}),
        ("2", "second", {"text": "second"}),
        ("5", "third", {"text": "third"}),
        ("6", "fourth", {"text": "fourth"}),
    ]
    assert lines[2].place == "notes.txt:5"
    found = [row(one) for one in records(path, paragraphs=True)]
    assert found == [
        ("1", "first line\nsecond", {"text": "first line\nsecond"}),
        ("5", "third\nfourth", {"text": "third\nfourth"}),
    ]


def test_a_text_too_long_for_a_payload_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("short\n" + "x" * 16_001)
    assert [one.payload for one in records(path)] == [{"text": "short"}, {}]
    assert [one.payload for one in records(path, payload_columns=())] == [{}, {}]


def test_lines_may_be_keys_or_images(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\nb.png\n")
    keys = records(path, input_kind=Modality.KEY)
    assert [one.input for one in keys] == [KeyInput("a"), KeyInput("b.png")]
    images = records(path, input_kind=Modality.IMAGE)
    assert [one.input for one in images] == [ImageInput(tmp_path / n) for n in ("a", "b.png")]


def test_lines_that_cannot_be_read_fail_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"a\n\nb\n\xfc\nc\n")
    source = opened(path)
    *good, bad, last = source
    assert [row(one)[1] for one in (*good, last)] == ["a", "b", "c"]
    assert fault(bad) == ("notes.txt:4", "UNREADABLE", "4")
    assert source.left_out() == {"blank lines": 1}
    path.write_bytes("a\nb".encode("utf-16"))
    assert "this is UTF-16; save it as UTF-8" in until_error(opened(path))[1]
    monkeypatch.setattr("latentspace_text.lines.MAX_LINE_BYTES", 10)
    path.write_bytes(b"1234567890123\nb\n")
    bad, good_one = read(path)
    assert isinstance(bad, BadRecord)
    assert bad.message == "the line has over 10 bytes"
    assert row(good_one)[:2] == ("2", "b")


def test_a_paragraph_with_a_bad_line_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"a\nb\n\nc\n\xfc\nd\n\n\ne")
    first, bad, last = read(path, paragraphs=True)
    assert [row(one)[:2] for one in (first, last)] == [("1", "a\nb"), ("9", "e")]
    assert fault(bad) == ("notes.txt:4", "UNREADABLE", "4")


def test_names_of_nodes_may_begin_with_comment_signs(tmp_path: Path) -> None:
    path = tmp_path / "graph.edges"
    path.write_text("# a comment\n#a\t%b\n\n#\t#a\nalone\n")
    source = opened(path)
    found = list(source)
    assert [row(one)[0] for one in found[:-1]] == ["#a", "%b", "#"]
    assert fault(found[-1]) == ("graph.edges:5", "UNREADABLE", "")
    assert source.left_out() == {"comments": 1, "blank lines": 1}


def test_edges_as_networkx_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "graph.edgelist"
    networkx.write_edgelist(networkx.cycle_graph(5), path)
    assert [row(one)[0] for one in records(path)] == ["0", "1", "4", "2", "3"]


EDGES = [
    "# comment\na b\nb\tc\n",
    "% x\n\na\tb c\t0.5\nb c\td\t1\n",
    '"a, x",b,1\nb,c,2\n',
    "a b 1\nb a 2.5\nc a 3",
    "source,target\nx,y\ny,z\n",
]


@pytest.mark.parametrize("text", EDGES)
@pytest.mark.parametrize("packed", [False, True])
def test_nodes_are_those_that_training_reads(tmp_path: Path, text: str, packed: bool) -> None:
    header = text.startswith("source")
    path = tmp_path / "graph.edges.gz" if packed else tmp_path / "graph.edges"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = records(path, header=header)
    trained = read_edges(path, GraphOptions(header=header))
    ends = zip(trained.sources, trained.targets, strict=True)
    order = dict.fromkeys(trained.names[node] for edge in ends for node in edge)
    assert [row(one) for one in found] == [(name, name, {}) for name in order]
    assert {one.id for one in found} == set(trained.names)


def test_bad_edges_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "graph.edgelist"
    path.write_text("a\tb\nalone\n\tc\nb\td\n")
    items = read(path, payload_columns=("key",))
    assert [one.id for one in items] == ["a", "b", "", "", "c", "d"]
    assert row(items[0]) == ("a", "a", {"key": "a"})
    assert [fault(one) for one in items if isinstance(one, BadRecord)] == [
        ("graph.edgelist:2", "UNREADABLE", ""),
        ("graph.edgelist:3", "NO_ID", ""),
    ]
    with pytest.raises(SourceError, match="a tab, a comma or a space"):
        opened(path, delimiter=";")


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    raw = io.BufferedReader(io.BytesIO(data))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("one\n\ntwo\n", {}, [("1", "one", {"text": "one"}), ("3", "two", {"text": "two"})]),
        ('{"id": "a", "text": "b", "n": 1}\n', {}, [("a", "b", {"n": 1})]),
        ('{"t": "b"}\n', {"input_column": "t"}, [("1", "b", {})]),
        ('{"a"\n', {"kind": SourceKind.TEXT}, [("1", '{"a"', {"text": '{"a"'})]),
        ("text;n\nx;y\n", {"kind": SourceKind.CSV}, [("1", "x", {"n": "y"})]),
        (
            "a\nb\n\nc",
            {"paragraphs": True},
            [("1", "a\nb", {"text": "a\nb"}), ("4", "c", {"text": "c"})],
        ),
    ],
)
def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, pack: Any, text: str, options: Any, expected: Any
) -> None:
    piped(monkeypatch, pack(text.encode()))
    source = open_source("-", SourceOptions(**options))
    assert source.name == "standard input"
    assert source.count() is None
    items = list(source)
    assert [row(one) for one in items] == expected
    assert items[0].place.startswith("standard input:")
    with pytest.raises(SourceError, match="read only once"):
        list(source)


def test_standard_input_that_is_empty_or_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"")
    assert list(open_source("-", SourceOptions(input_column="t"))) == []
    piped(monkeypatch, b"\xff\nb\n")
    bad, good = open_source("-")
    assert fault(bad) == ("standard input:1", "UNREADABLE", "1")
    assert row(good)[:2] == ("2", "b")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("what.bin", {}, "images, csv, tsv, jsonl, parquet, webdataset, text, edges"),
        ("nothing.csv", {}, "no such file"),
        ("nothing", {}, "no such file"),
        (".", {"kind": SourceKind.CSV}, "is a file"),
        ("-", {"kind": SourceKind.PARQUET}, "standard input"),
        ("rows.csv", {"glob": "*.csv"}, "glob does not go with a source of the kind csv"),
        (".", {"id_column": "x"}, "id_column does not go with a source of the kind images"),
        ("rows.jsonl", {"types": {"n": FieldType.INT}}, "types does not go"),
    ],
)
def test_what_cannot_be_opened(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    for there in ("what.bin", "rows.csv", "rows.jsonl"):
        (tmp_path / there).write_text("text\nx\n")
    path = name if name == "-" else str(tmp_path / name)
    with pytest.raises(SourceError, match=message):
        open_source(path, SourceOptions(**options))


def test_a_kind_goes_before_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "what.bin"
    path.write_text("text\nx\n")
    assert [row(one)[1] for one in records(path, kind=SourceKind.CSV)] == ["x"]
    texts = [one.input for one in records(path, kind=SourceKind.TEXT)]
    assert texts == [TextInput("text"), TextInput("x")]
