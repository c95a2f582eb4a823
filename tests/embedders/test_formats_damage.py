"""Damaged and foreign files: refused, saying what and where."""

import gzip
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from embedders.errors import ModelFormatError
from embedders.formats import (
    StorageDtype,
    read_vocabulary,
    save_glove_text,
    save_safetensors,
    save_word2vec_binary,
    save_word2vec_text,
)
from embedders.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["ant", "bee", "cat"], np.arange(6, dtype=np.float32).reshape(3, 2) + 0.5)
OURS = {"format": "latentspace-vocabulary", "version": "1"}
KEYS = np.frombuffer(b"ant\nbee", np.uint8)
ROWS = np.ones((2, 3), np.float32)


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_vocabulary(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("   \n\n", "the file is empty"),
        ("3 2\nant 1 2\nbee 3 4\n", "header says 3 rows, but 2 were found"),
        ("2 2\nant 1 2\nbee 3 4\ncat 5 6\n", "header says 2 rows, but 3 were found"),
        ("2 2\nant 1 2\nbee 3\n", "line 3: 2 numbers expected, 1 found"),
        ("2 2\nant 1 2\nbee 3 4 5\n", "line 3: 2 numbers expected, 3 found"),
        ("2 2\nant 1 2\nant 3 4\n", "line 3: key 'ant' was on line 2 already"),
        ("2 2\nant 1 nan\nbee 3 4\n", "line 2: nan is not a finite float32"),
        ("2 2\nant 1 2\nbee 3 -inf\n", "line 3: -inf is not a finite float32"),
        ("2 2\nant 1 2\nbee 3 1e39\n", "line 3: 1e39 is not a finite float32"),
        ("2 2\nant 1 2\nbee 3 x\n", "line 3: 'x' is not a number"),
        ("2 2\nant 1 2\nbee 3 1_0\n", "line 3: '1_0' is not a number"),
        ("2 2\nant 1 2\nbee 3 0x1\n", "line 3: '0x1' is not a number"),
        ("2 2\nant 1 2\n\nbee 3 4\n", "line 3: a blank line between rows"),
        ("0 2\nant 1 2\n", "line 1: 0 rows of dimension 2"),
        ("2 99999999\nant 1 2\n", "line 1: 2 rows of dimension 99999999"),
        ("ant 1 2\nbee 3\n", "line 2: 2 numbers expected, 1 found"),
        ("ant 1 2\nbee 3 4\nant 5 6\n", "line 3: key 'ant' was on line 1 already"),
        ("just some prose\n", "not a known format"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_text(text: str, message: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    refused(path, message)


def test_text_that_is_odd_but_right(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("3 2 \nant 1\t2 \r\nbee  3  4\n. . . 5 6\n\n \n")
    found = read_vocabulary(path)
    assert found.keys == ["ant", "bee", ". . ."]
    np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4], [5, 6]])


def test_a_key_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"2 2\nant 1 2\nb\xff 3 4\n")
    refused(tmp_path / "t", "line 3: the key is not UTF-8")
    save_word2vec_binary(tmp_path / "b", VOCABULARY)
    content = (tmp_path / "b").read_bytes().replace(b"bee ", b"b\xffe ")
    (tmp_path / "b").write_bytes(content)
    refused(tmp_path / "b", "row 1, byte 16: the key is not UTF-8")


@pytest.mark.parametrize("save", [save_word2vec_text, save_glove_text, save_word2vec_binary])
def test_a_cut_off_gzip_stream(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "v.gz"
    save(path, VOCABULARY)
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    refused(path, "gzip stream is damaged or cut off")
    path.write_bytes(content[:30] + b"\0\0\0\0" + content[34:])
    refused(path, "gzip stream is damaged or cut off")


@pytest.mark.parametrize(
    ("cut", "message"),
    [(-14, "cut off: the header says 3 rows"), (-2, "row 2, byte 29: cut off within a row")],
)
def test_a_cut_off_binary_file(cut: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    save_word2vec_binary(path, VOCABULARY)
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, message)


def test_binary_files_with_too_much_or_twice_the_same(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    save_word2vec_binary(path, VOCABULARY)
    content = path.read_bytes()
    path.write_bytes(content + b"more")
    refused(path, "more bytes follow the 3 rows")
    path.write_bytes(content.replace(b"cat ", b"ant "))
    refused(path, r"row 2, byte \d+: key 'ant' stands in row 0 already")
    path.write_bytes(content.replace(np.float32(2.5).tobytes(), np.float32(np.nan).tobytes()))
    refused(path, "row 1 has NaN")
    path.write_bytes(b"900000000000 300\n" + content[4:])
    refused(path, "cut off: the header says 900000000000 rows")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_refused_with_the_way_to_convert(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.kv"
    path.write_bytes(pickle.dumps({"a": [1.0]}, protocol=protocol))
    refused(path, r"a pickle.*save_word2vec_format\('vectors.bin', binary=True\)")


def test_other_strangers(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"\xba\x16\x4f\x2f\x0c\0\0\0" + bytes(40))
    refused(path, r"fastText model, byte 8: cut off")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a 1 2")
    refused(path, "zip archive; unpack it")
    refused(tmp_path / "none", "no such file")
    refused(tmp_path, "no such file")


def tensors(**changes: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    whole: dict[str, NDArray[Any] | None] = {"keys": KEYS, "vectors": ROWS, **changes}
    return {name: tensor for name, tensor in whole.items() if tensor is not None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tensors(keys=None), "tensor 'keys' is missing"),
        (tensors(vectors=None), "tensor 'vectors' is missing"),
        (tensors(vectors=ROWS[:1]), r"2 keys, but vectors \(1, 3\)"),
        (tensors(vectors=ROWS.astype(np.float64)), "vectors are float64"),
        (tensors(vectors=ROWS.astype(np.int8)), "int8 vectors need 'scales'"),
        (
            tensors(keys=np.frombuffer(b"ant\nant", np.uint8)),
            "row 1: key 'ant' stands in row 0 already",
        ),
        (tensors(keys=np.frombuffer(b"ant\nb\xff", np.uint8)), "row 1: the key is not UTF-8"),
        (tensors(keys=np.frombuffer(b"ant\n", np.uint8)), "row 1: the key is empty"),
        (tensors(counts=np.ones(3, np.int64)), "2 keys, but"),
        (tensors(vectors=ROWS * np.float32(np.nan)), "row 0 has NaN"),
    ],
)
def test_damaged_layout(content: dict[str, NDArray[Any]], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file(content, path, OURS)
    refused(path, message)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not a vocabulary: metadata 'format' is None"),
        ({"format": "pt"}, "'format' is 'pt'"),
        ({**OURS, "version": "2"}, "layout version '2'; this release reads '1'"),
    ],
)
def test_another_layout(metadata: dict[str, str] | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file(tensors(), path, metadata)
    refused(path, message)


def test_every_truncation_of_our_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_safetensors(path, VOCABULARY, "word2vec")
    content = path.read_bytes()
    for stop in range(1, len(content), 7):
        path.write_bytes(content[:stop])
        with pytest.raises(ModelFormatError):
            read_vocabulary(path)


def test_a_header_that_lies_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 8]}})
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
    refused(path, "damaged safetensors")


@pytest.mark.parametrize("save", [save_word2vec_text, save_glove_text, save_word2vec_binary])
def test_keys_with_spaces_are_not_written_where_they_would_be_misread(
    save: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match="'New York' has white space"):
        save(tmp_path / "v", Vocabulary(["New York"], np.ones((1, 2), np.float32)))
    assert list(tmp_path.iterdir()) == []


def test_float16_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    large = Vocabulary(["a"], np.array([[1e6, 1]], np.float32))
    with pytest.raises(ModelFormatError, match="too large for float16"):
        save_safetensors(tmp_path / "m", large, "word2vec", dtype=StorageDtype.FLOAT16)
