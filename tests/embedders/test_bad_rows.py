"""Vector files of which some rows cannot be used: passed over and counted, or refused."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext import save_facebook_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from embedders import load
from embedders.errors import EmbedderError, ModelFormatError
from embedders.formats import (
    BadRows,
    read_vocabulary,
    save_glove_text,
    save_safetensors,
    save_word2vec_binary,
    save_word2vec_text,
)
from embedders.lookup import LookupEncoder
from embedders.vocabulary import Vocabulary

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
EXAMPLES = 10_000 if LONG else 200
ROWS = [
    "0.001230 0.298746 -0.274138 -0.890592",
    "-0.454671 -0.991647 0.060144 1.340215",
    "-0.492207 -0.620475 0.489842 0.356887",
    "0.105414 -0.930468 -0.029252 0.695303",
]
VALUES = np.array([[float(x) for x in row.split()] for row in ROWS], np.float32)
KEYS = ["harbour", "ferry", "island", "gull"]


def text_file(keys: list[str], rows: list[str] = ROWS) -> str:
    return "".join(f"{key} {row}\n" for key, row in zip(keys, rows, strict=True))


def loaded(path: Path, family: str = "word2vec", **options: Any) -> LookupEncoder:
    encoder = load("m", family, str(path), options)
    assert isinstance(encoder, LookupEncoder)
    return encoder


@pytest.mark.parametrize("header", ["4 4\n", ""])
@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("blank", [" ", ""])
def test_a_blank_key(
    header: str, place: int, blank: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [blank if row == place else key for row, key in enumerate(KEYS)]
    path = tmp_path / "space_token.txt"
    path.write_text(header + text_file(keys), encoding="utf-8")
    line = place + (2 if header else 1)
    with pytest.raises(ModelFormatError, match=rf"line {line}: .*bad_rows: skip") as caught:
        loaded(path)
    assert str(path) in str(caught.value)
    with caplog.at_level(logging.WARNING):
        found = loaded(path, bad_rows="skip").vocabulary
    rest = [row for row in range(4) if row != place]
    assert found.keys == [KEYS[row] for row in rest]
    np.testing.assert_array_equal(found.vectors, VALUES[rest])
    assert f"1 rows passed over: 1 without a key (the first: line {line})" in caplog.text


@pytest.mark.parametrize("family", ["word2vec", "node2vec"])
def test_the_first_of_repeated_keys_stays(family: str, tmp_path: Path) -> None:
    path = tmp_path / "duplicate.txt"
    keys = ["harbour", "ferry", "island", "ferry"]
    path.write_text("4 4\n" + text_file(keys), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"line 5: key 'ferry' was on line 3 already"):
        loaded(path, family)
    found = loaded(path, family, bad_rows="skip").vocabulary
    assert found.keys == keys[:3]
    np.testing.assert_array_equal(found.vectors, VALUES[:3])
    averaged = load("m", "averaged", str(path), {"bad_rows": "skip"})
    assert averaged.info.dim == 4


def test_keys_in_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "latin1.bin"
    keys = [key.encode("latin-1") for key in ("harbour", "fähre", "island", "gull")]
    body = b"".join(k + b" " + v.tobytes() + b"\n" for k, v in zip(keys, VALUES, strict=True))
    path.write_bytes(b"4 4\n" + body)
    with pytest.raises(ModelFormatError, match=r"row 1, byte 28: .*UTF-8.*bad_rows: skip"):
        loaded(path)
    found = loaded(path, bad_rows="skip").vocabulary
    assert found.keys == ["harbour", "island", "gull"]
    np.testing.assert_array_equal(found.vectors, VALUES[[0, 2, 3]])


@pytest.mark.parametrize("header", ["4 4", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_key(header: str, end: str, tmp_path: Path) -> None:
    lines = ([header] if header else []) + text_file(KEYS).splitlines()
    path = tmp_path / "bom.txt"
    path.write_bytes(("\ufeff" + end.join(lines) + end).encode())
    found = loaded(path).vocabulary
    assert found.keys == KEYS
    np.testing.assert_array_equal(found.vectors, VALUES)


@pytest.mark.parametrize("letter", ["\u2028", "\x85", "\x0c", "\x0b", "\r", "\u00a0", "#", "%"])
@pytest.mark.parametrize("header", ["4 4\n", ""])
def test_line_ends_of_unicode_are_letters_of_a_key(
    letter: str, header: str, tmp_path: Path
) -> None:
    for keys in ([f"{letter}a", *KEYS[1:]], [f"a{letter}b", *KEYS[1:]], [*KEYS[:3], f"b{letter}c"]):
        path = tmp_path / "odd.txt"
        path.write_bytes((header + text_file(keys)).encode())
        assert read_vocabulary(path).keys == keys


def test_all_rows_bad_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("2 2\n 1 2\n 3 4\n", encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"no rows.*2 rows passed over"):
        read_vocabulary(path, bad_rows=BadRows.SKIP)


def test_fasttext_and_our_layout(tmp_path: Path) -> None:
    model = FastText([["ant", "bee", "cat"]] * 4, vector_size=6, min_count=1, bucket=50, workers=1)
    path = tmp_path / "m.bin"
    save_facebook_model(model, str(path))
    whole = read_vocabulary(path)
    content = path.read_bytes()
    start = content.index(b"bee\0")
    # an empty word: its letters go, and its end stays
    path.write_bytes(content[:start] + content[start + 3 :])
    with pytest.raises(ModelFormatError, match=r"row \d: the key is empty.*bad_rows: skip"):
        read_vocabulary(path)
    found = read_vocabulary(path, bad_rows=BadRows.SKIP)
    rest = [i for i, key in enumerate(whole.keys) if key != "bee"]
    assert found.keys == [whole.keys[i] for i in rest]
    np.testing.assert_array_equal(found.vectors, whole.vectors[rest])
    assert found.counts is not None
    assert found.subwords is not None
    ours = tmp_path / "m.safetensors"
    tensors = {
        "keys": np.frombuffer(b"a\n\nb\na\n\xff", np.uint8),
        "vectors": np.arange(10, dtype=np.float32).reshape(5, 2),
        "counts": np.arange(5),
    }
    save_file(tensors, ours, {"format": "latentspace-vocabulary", "version": "1"})
    found = read_vocabulary(ours, bad_rows=BadRows.SKIP)
    assert (found.keys, found.vectors.tolist()) == (["a", "b"], [[0, 1], [4, 5]])
    assert found.counts is not None
    assert found.counts.tolist() == [0, 2]
    assert "3 rows passed over" in found.notes[0]


ROW_KINDS = ["sound", "blank", "repeated", "latin-1", "short", "long", "word", "nan", "empty line"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(kinds=st.lists(st.sampled_from(ROW_KINDS), min_size=1, max_size=9), header=st.booleans())
def test_bad_lines_anywhere(
    kinds: list[str], header: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every bad line goes, every sound one stays; line by line, against a list made beside it."""
    kinds = ["sound", *kinds, "sound", "sound"] if header else ["sound"] * 9 + kinds
    lines: list[bytes] = []
    expected: dict[str, list[float]] = {}
    for i, kind in enumerate(kinds):
        key, numbers = f"k{i}", [float(i), -1.5, 2.0]
        row = " ".join(map(str, numbers))
        odd = {
            "blank": f" {row}".encode(),
            "repeated": f"k0 {row}".encode(),
            "latin-1": b"k\xe9 " + row.encode(),
            "short": f"{key} 1 2".encode(),
            "long": f"{key} {row} 9".encode(),
            "word": f"{key} 1 two 3".encode(),
            "nan": f"{key} 1 nan 3".encode(),
            "empty line": b"",
        }
        lines.append(odd.get(kind, f"{key} {row}".encode()))
        if kind == "sound":
            expected[key] = numbers
    path = tmp_path_factory.mktemp("rows") / "v.txt"
    count = sum(kind != "empty line" for kind in kinds)
    head = [b"%d 3" % count] if header else []
    path.write_bytes(b"\n".join([*head, *lines]) + b"\n")
    found = read_vocabulary(path, bad_rows=BadRows.SKIP)
    assert dict(zip(found.keys, found.vectors.tolist(), strict=True)) == expected
    bad = count - len(expected)
    assert not bad or f"{bad} rows passed over" in found.notes[0]
    if set(kinds) != {"sound"} and kinds[-1] != "empty line":
        with pytest.raises(ModelFormatError, match="bad_rows: skip"):
            read_vocabulary(path)
    path.unlink()


def fasttext(path: Path, vocabulary: Vocabulary) -> None:
    model = FastText([vocabulary.keys] * 4, vector_size=6, min_count=1, bucket=20, workers=1)
    save_facebook_model(model, str(path))


def our_layout(path: Path, vocabulary: Vocabulary) -> None:
    save_safetensors(path, vocabulary, "word2vec")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("formats")
    vocabulary = Vocabulary(KEYS, VALUES, np.array([4, 3, 2, 1]))
    writers: dict[str, Callable[[Path, Vocabulary], None]] = {
        "v.txt": save_word2vec_text,
        "glove.txt": save_glove_text,
        "v.txt.gz": save_word2vec_text,
        "v.bin": save_word2vec_binary,
        "v.bin.gz": save_word2vec_binary,
        "v.safetensors": our_layout,
        "fasttext.bin": fasttext,
    }
    for name, write in writers.items():
        write(folder / name, vocabulary)
    return {name: (folder / name).read_bytes() for name in writers}


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    name=st.sampled_from(
        ["v.txt", "glove.txt", "v.txt.gz", "v.bin", "v.bin.gz", "v.safetensors", "fasttext.bin"]
    ),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    bad_rows=st.sampled_from(BadRows),
)
def test_damage_of_every_format_names_the_file(
    name: str,
    flips: list[tuple[float, int]],
    cut: float | None,
    bad_rows: BadRows,
    files: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = bytearray(files[name])
    for place, value in flips:
        content[int(place * (len(content) - 1))] = value
    path = tmp_path_factory.mktemp("damage") / name
    path.write_bytes(content if cut is None else content[: int(cut * len(content))])
    error = _error_of(path, bad_rows)
    assert error is None or (isinstance(error, ModelFormatError) and str(path) in str(error))
    path.unlink()


def _error_of(path: Path, bad_rows: BadRows) -> EmbedderError | None:
    try:
        found = read_vocabulary(path, bad_rows=bad_rows)
    except EmbedderError as error:
        return error
    assert np.isfinite(found.vectors).all()
    return None
