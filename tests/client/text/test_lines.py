"""Lines of text files: where they end, which number they have, and which are faulty alone."""

import gzip
import io
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace_text import TextFileError, lines, open_lines, read_lines, read_list


def _texts(data: bytes) -> list[str]:
    return [line.text for line in open_lines(io.BytesIO(data), "x.txt")]


def test_lines_end_at_line_feeds_only() -> None:
    kept = ["a\u2028b\u2029c", "d\x85e\x0cf\x0bg", "h\ri", "j"]
    assert _texts("\n".join(kept).encode()) == kept
    assert _texts("\r\n".join(kept).encode() + b"\r\n") == kept


def test_a_byte_order_mark_is_left_out_once() -> None:
    assert _texts("\ufeffking\n\ufeffqueen\n".encode()) == ["king", "\ufeffqueen"]


def test_blank_lines_keep_their_number() -> None:
    read = list(open_lines(io.BytesIO(b"a\n\n \t\r\nb"), "x"))
    assert [(one.number, one.is_blank) for one in read] == [
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_refused_by_name(encoding: str) -> None:
    with pytest.raises(TextFileError, match=r"x\.txt: this is UTF-"):
        _texts("king".encode(encoding))


@given(st.integers(0, 4), st.sampled_from([b"\xff", b"k\xe9y", b"nul\0here", b"x" * 41]))
def test_a_faulty_line_costs_itself_only(place: int, damage: bytes) -> None:
    sound = [b"one", b"two", b"", b"four", b"five"]
    data = [*sound[:place], damage, *sound[place + 1 :]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MAX_LINE_BYTES", 40)
        read = list(open_lines(io.BytesIO(b"\n".join(data)), "x"))
    assert [one.number for one in read] == [1, 2, 3, 4, 5]
    assert [bool(one.fault) for one in read] == [i == place for i in range(5)]
    sound_texts = [one.decode() for i, one in enumerate(sound) if i != place]
    assert [one.text for one in read if not one.fault] == sound_texts


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_are_unpacked_whatever_they_are_called(pack: object, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    assert callable(pack)
    path.write_bytes(pack(b"a\nb\n"))
    assert [line.text for line in read_lines(path)] == ["a", "b"]
    whole = pack("".join(f"line {i * 7919}\n" for i in range(50_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    read: list[str] = []
    with pytest.raises(TextFileError, match=r"line \d+: damaged or cut off"):
        read.extend(line.text for line in read_lines(path))


def test_a_list_counts_what_it_leaves_out() -> None:
    data = b"king\n\n queen \n\nma\xffn\nend\n"
    found = read_list(open_lines(io.BytesIO(data), "x"))
    assert found.items == ["king", "queen", "end"]
    assert found.numbers == [1, 3, 6]
    assert found.blank == 2
    assert found.left_out().startswith("2 blank lines, line 5, which is not UTF-8")
