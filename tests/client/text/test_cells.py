"""Rows of CSV: as Python's reader has them where they are sound, and none invented where not."""

import csv
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentspace_text import cells, open_lines
from latentspace_text.cells import CellFormat, Row, UnclosedQuoteError, read_rows

EXAMPLES = 10_000 if os.environ.get("LATENTSPACE_LONG") else 200
CELLS = st.text(alphabet='ab,;"\n\r é\u2028#', max_size=6)


def _rows(text: str, form: CellFormat | None = None) -> list[Row]:
    lines = open_lines(io.BytesIO(text.encode()), "x.csv")
    return [row for row in read_rows(lines, form or CellFormat()) if row.cells or row.fault]


def _written(table: list[list[str]], quoting: int) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    return text.getvalue()


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_sound_rows_are_those_that_were_written(table: list[list[str]], quoting: int) -> None:
    rows = _rows(_written([["x" + row[0], *row[1:]] for row in table], quoting))
    assert [row.cells for row in rows] == [["x" + row[0], *row[1:]] for row in table]


DAMAGE = [
    '{id},"quote "in the" middle",{id}',
    '{id},"letters"behind,{id}',
    "{id},a\rb,{id}",
    "{id},a\0b,{id}",
    '{id},"says "hi" and\nx1,not a row,1\nends",{id}',
    '"{id}","not closed,"{id}"',
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(CELLS, min_size=5, max_size=5),
    st.integers(0, 4),
    st.sampled_from(DAMAGE),
)
def test_one_damaged_row_fails_alone_and_none_is_invented(
    texts: list[str], place: int, damage: str
) -> None:
    table = [[f"r{i}", text, str(i)] for i, text in enumerate(texts)]
    parts = [_written([row], csv.QUOTE_ALL) for row in table]
    parts[place] = damage.format(id=f"r{place}") + "\r\n"
    rows = _rows("".join(parts))
    sound = [row.cells for row in rows if not row.fault]
    assert [row for row in sound if row not in table] == []
    # a cell of several lines after a quote that is not closed may be lost with it, and is told
    alone = damage is not DAMAGE[-1] or not any("\n" in text for text in texts)
    if alone:
        assert sound == [row for i, row in enumerate(table) if i != place]
    assert [row.line for row in rows if row.fault] == ["".join(parts[:place]).count("\n") + 1]


def test_a_quote_that_swallows_lines_fails_with_all_of_them() -> None:
    rows = _rows('id,t\na,"open\nb,second\nc,"third"\nd,fourth\n')
    assert [row.cells for row in rows if not row.fault] == [["id", "t"], ["d", "fourth"]]
    assert [(row.line, row.last) for row in rows if row.fault] == [(2, 4)]


def test_where_no_boundary_is_known_nothing_more_is_read() -> None:
    lines = open_lines(io.BytesIO(b'id,t\na,one\nb,"two\nc,three\nd,four\n'), "x")
    read: list[list[str]] = []
    with pytest.raises(UnclosedQuoteError, match="line 3: the quote that opens here is not closed"):
        read.extend(row.cells for row in read_rows(lines, CellFormat()))
    assert read == [["id", "t"], ["a", "one"]]


def test_too_long_a_row_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MAX_ROW_LETTERS", 50)
    long = "\n".join(["x1,looks like a row"] * 10)
    rows = _rows(f'a,1\nb,"{long}"\nc,3\n')
    assert [row.cells for row in rows if not row.fault] == [["a", "1"], ["c", "3"]]
    assert [(row.line, row.last) for row in rows if row.fault] == [(2, 11)]


def test_the_limit_of_the_csv_module_is_not_ours() -> None:
    assert _rows(f'a,"{"x" * 200_000}"\n')[0].cells == ["a", "x" * 200_000]
