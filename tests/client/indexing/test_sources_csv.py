"""CSV, against files that pandas and the csv module write."""

import gzip
import lzma
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace.enums import FieldType, Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.inputs import ImageInput, VectorInput
from tests.client.indexing.reading import (
    fault,
    opened,
    read,
    records,
    row,
    until_error,
    write_csv,
)

pd = pytest.importorskip("pandas", reason="pandas is not installed")

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20)


@given(st.lists(st.tuples(CELLS.filter(bool), CELLS), max_size=30), st.sampled_from(",;\t|"))
def test_what_csv_writes_is_read(rows: list[tuple[str, str]], delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_csv(path, ["text", "tag"], [list(one) for one in rows], delimiter=delimiter)
        found = [row(one) for one in read(path, delimiter=delimiter)]
    assert found == [(str(i), text, {"tag": tag}) for i, (text, tag) in enumerate(rows, 1)]


def test_a_frame_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": ["b", "a"], "text": ["first, with a comma", 'second\n"line"'], "year": [1999, 2024]}
    )
    frame.to_csv(tmp_path / "rows.csv")  # with its index, which has no name
    assert [row(one) for one in records(tmp_path / "rows.csv")] == [
        ("b", "first, with a comma", {"year": "1999"}),
        ("a", 'second\n"line"', {"year": "2024"}),
    ]
    frame.to_csv(tmp_path / "rows.tsv", sep="\t", index=False)
    assert [one.id for one in records(tmp_path / "rows.tsv")] == ["b", "a"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["1", "one, two; three"], ["2", "four|five"], ["3", "six\nseven"]]
    path = write_csv(tmp_path / "rows.csv", ["id", "text"], rows, delimiter=delimiter)
    assert [row(one)[:2] for one in records(path)] == [(a, b) for a, b in rows]


def test_delimiters_as_shells_pass_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id\ttext, or so\n1\ta, b\n")
    (only,) = records(path, delimiter=r"\t", input_column="text, or so")
    assert row(only) == ("1", "a, b", {})
    with pytest.raises(SourceError, match="not one letter"):
        opened(path, delimiter="::")


def test_columns_are_mapped(tmp_path: Path) -> None:
    rows = [["x1", "hello", "a", "1"], ["x2", "world", "b", "2"]]
    path = write_csv(tmp_path / "rows.csv", ["key", "body", "id", "n"], rows)
    said = {"id_column": "key", "input_column": "body"}
    assert [row(one) for one in records(path, **said)] == [
        ("x1", "hello", {"id": "a", "n": "1"}),
        ("x2", "world", {"id": "b", "n": "2"}),
    ]
    kept = records(path, **said, payload_columns=("body", "n"))
    assert [one.payload for one in kept] == [
        {"body": "hello", "n": "1"},
        {"body": "world", "n": "2"},
    ]
    assert [one.payload for one in records(path, **said, payload_columns=())] == [{}, {}]
    # by default the id is "id", and the first of text, image, key, vector is embedded
    assert [row(one)[:2] for one in records(path)] == [("a", "x1"), ("b", "x2")]


def test_types_make_values_of_cells(tmp_path: Path) -> None:
    header = ["text", "year", "score", "sold", "at", "tag"]
    rows = [
        ["a", "1999", "0.5", "true", "2024-02-03T04:05:06Z", "007"],
        ["b", "", "nan", "0", "2024-02-03", ""],
        ["c", "many", "", "", "", ""],
        ["d", "", "", "perhaps", "", ""],
    ]
    kinds = [FieldType.INT, FieldType.FLOAT, FieldType.BOOL, FieldType.DATETIME, FieldType.KEYWORD]
    path = write_csv(tmp_path / "rows.csv", header, rows)
    first, second, *bad = read(path, types=dict(zip(header[1:], kinds, strict=True)))
    assert row(first)[2] == {
        "year": 1999,
        "score": 0.5,
        "sold": True,
        "at": "2024-02-03T04:05:06+00:00",
        "tag": "007",
    }
    at = "2024-02-03T00:00:00+00:00"
    assert row(second)[2] == {"score": None, "sold": False, "at": at, "tag": ""}
    assert [fault(one) for one in bad] == [
        ("rows.csv:4", "BAD_PAYLOAD", "3"),
        ("rows.csv:5", "BAD_PAYLOAD", "4"),
    ]


def test_vectors_and_images(tmp_path: Path) -> None:
    rows = [["[0.5, -1]", "a.jpg"], ["[1 2]", "/abs/b.jpg"], ["nan 1", "https://example.org/c.jpg"]]
    path = write_csv(tmp_path / "rows.csv", ["vector", "photo"], rows)
    *vectors, bad = read(path)
    values = [one.input.values for one in vectors if isinstance(one.input, VectorInput)]  # type: ignore[union-attr]
    np.testing.assert_array_equal(values, np.array([[0.5, -1], [1, 2]], np.float32))
    assert values[0].dtype == np.float32
    assert fault(bad) == ("rows.csv:4", "BAD_INPUT", "3")
    *images, url = read(path, input_column="photo", input_kind=Modality.IMAGE)
    paths = [one.input.source for one in images if isinstance(one.input, ImageInput)]  # type: ignore[union-attr]
    assert paths == [tmp_path / "a.jpg", Path("/abs/b.jpg")]
    assert isinstance(url, BadRecord)
    assert "nothing is fetched" in url.message


def test_bad_rows_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        'id,text\na,one\nb\n\nc,"two"x\n,three\nd,\na,again\ne,"fi\nve"\n'
        + "i" * 513
        + ",six\nf,end\n"
    )
    items = read(path)
    assert [row(one)[:2] for one in items if isinstance(one, Record)] == [
        ("a", "one"),
        ("e", "fi\nve"),
        ("f", "end"),
    ]
    assert [fault(one) for one in items if isinstance(one, BadRecord)] == [
        ("rows.csv:3", "UNREADABLE", ""),
        ("rows.csv:5", "UNREADABLE", ""),
        ("rows.csv:6", "NO_ID", ""),
        ("rows.csv:7", "NO_INPUT", "d"),
        ("rows.csv:8", "REPEATED_ID", "a"),
        ("rows.csv:11", "BAD_ID", ""),
    ]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "header"),
        ("id,text,text\n", {}, "'text' more than once"),
        ("id,title\n1,a\n", {}, "there.* 'id', 'title'|which column"),
        ("id,text\n1,a\n", {"input_column": "body"}, "no column 'body'; there are 'id', 'text'"),
        ("id,text\n1,a\n", {"id_column": "key"}, "no column 'key'; there are 'id', 'text'"),
        ("id,text\n1,a\n", {"payload_columns": ("year",)}, "no column 'year'"),
    ],
)
def test_columns_that_are_not_there(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "rows.csv", **options)


def test_a_quote_that_is_never_closed_ends_the_source(tmp_path: Path) -> None:
    good = "id,text\n" + "".join(f"{i},text {i}\n" for i in range(50))
    path = tmp_path / "rows.csv"
    path.write_text(good + '50,"open\nand,no\n51,x\n')
    items, message = until_error(opened(path))
    assert [row(one)[0] for one in items[:-1]] == [str(i) for i in range(50)]
    assert fault(items[-1]) == ("rows.csv:52", "UNREADABLE", "")
    assert "line 52: the quote that opens here is not closed" in message


def test_rows_without_ids_end_where_their_number_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,n\na,1\n"b,2\nc,"3"\nd,4\n')
    items, message = until_error(opened(path))
    assert row(items[0]) == ("1", "a", {"n": "1"})
    assert [fault(one) for one in items[1:]] == [("rows.csv:3", "UNREADABLE", "2")]
    assert "line 3: how many rows are damaged cannot be known" in message


@pytest.mark.parametrize("place", [1, 25, 50])
def test_a_line_that_is_not_utf_8_fails_alone(tmp_path: Path, place: int) -> None:
    lines = [b"id,text", *(f"{i},text {i}".encode() for i in range(1, 51))]
    lines[place] = f"{place},na\xefve".encode("latin-1")
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\n".join(lines))
    items = read(path)
    good = [row(one)[0] for one in items if isinstance(one, Record)]
    assert good == [str(i) for i in range(1, 51) if i != place]
    (bad,) = [one for one in items if isinstance(one, BadRecord)]
    assert fault(bad) == (f"rows.csv:{place + 1}", "UNREADABLE", "")
    assert "is not UTF-8" in bad.message


def test_spaces_behind_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('id, text, tag\na, "one, two", x\nb,  three , y z\n')
    assert [row(one) for one in records(path)] == [
        ("a", "one, two", {"tag": "x"}),
        ("b", "three", {"tag": "y z"}),
    ]
    # where the header has none, spaces are part of the cells, as RFC 4180 has it
    path.write_text("id,text,tag\na, one, x\n")
    assert [row(one) for one in records(path)] == [("a", " one", {"tag": " x"})]


def test_a_cell_larger_than_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    long = "Lorem ipsum harbour lights. " * 6500
    rows = [["a", "short", "2020"], ["b", long + "\n\nx,row,1", "2021"], ["c", "end", "2022"]]
    path = write_csv(tmp_path / "rows.csv", ["id", "text", "year"], rows)
    assert [row(one) for one in records(path)] == [(a, b, {"year": c}) for a, b, c in rows]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_and_cut_off_ones(tmp_path: Path, pack: Any) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{i},{rng.bytes(20).hex()}" for i in range(5000)]
    data = pack("\n".join(["\ufeffid,text", *lines, ""]).encode())
    suffix = "gz" if pack is gzip.compress else "xz"
    path = tmp_path / f"rows.csv.{suffix}"
    path.write_bytes(data)
    assert [",".join(row(one)[:2]) for one in records(path)] == lines
    path.write_bytes(data[: len(data) // 2])
    items, message = until_error(opened(path))
    assert 1000 < len(items) < 4000
    assert [",".join(row(one)[:2]) for one in items] == lines[: len(items)]
    assert f"line {len(items) + 2}: damaged or cut off" in message


def test_quotes_as_letters(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('text\tn\n"Hello" he said\t1\n"never closed\t2\n')
    found = [row(one)[1] for one in records(path, quotes=False)]
    assert found == ['"Hello" he said', '"never closed']
