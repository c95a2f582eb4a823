"""Every format against gensim, and against itself."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embedders.formats import (
    StorageDtype,
    VocabularyFormat,
    read_vocabulary,
    save_glove_text,
    save_safetensors,
    save_word2vec_binary,
    save_word2vec_text,
    sniff,
)
from embedders.vocabulary import Vocabulary

KEYS = [
    *["the", "König", "日本語", "naïve", "a_b", "don't", "1999", "😀", "-", "nan"],
    "\u00a0nbsp",
    "x\u2028y",
]
TEXT, BINARY = VocabularyFormat.WORD2VEC_TEXT, VocabularyFormat.WORD2VEC_BINARY
Writer = Callable[[Path, Vocabulary], None]


def _save_ours(path: Path, vocabulary: Vocabulary) -> None:
    save_safetensors(path, vocabulary, "word2vec")


WRITERS: dict[VocabularyFormat, Writer] = {
    VocabularyFormat.SAFETENSORS: _save_ours,
    TEXT: save_word2vec_text,
    BINARY: save_word2vec_binary,
    VocabularyFormat.GLOVE_TEXT: save_glove_text,
}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(len(KEYS), 7)) * 10.0 ** rng.integers(-20, 20, size=(len(KEYS), 7))
    return Vocabulary(KEYS, rows.astype(np.float32), np.arange(len(KEYS), 0, -1))


def same(one: Vocabulary, other: Vocabulary) -> bool:
    return (
        one.keys == other.keys
        and np.array_equal(one.vectors, other.vectors)
        and one.revision == other.revision
    )


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [(VocabularyFormat.SAFETENSORS, ""), *product(list(WRITERS)[1:], ["", ".gz"])],
)
def test_what_is_written_reads_back(
    kind: VocabularyFormat, suffix: str, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    path = tmp_path / f"vectors{suffix}"
    WRITERS[kind](path, vocabulary)
    assert sniff(path) is kind
    assert same(read_vocabulary(path), vocabulary)
    assert read_vocabulary(path, limit=3).keys == KEYS[:3]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_of_gensim_read_as_gensim_reads_them(
    binary: bool, suffix: str, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    path = tmp_path / f"gensim{suffix}"
    theirs = KeyedVectors(vector_size=vocabulary.dim)
    theirs.add_vectors(vocabulary.keys, vocabulary.vectors)
    theirs.save_word2vec_format(str(path), binary=binary)
    again = KeyedVectors.load_word2vec_format(str(path), binary=binary)
    ours = read_vocabulary(path)
    assert sniff(path) is (BINARY if binary else TEXT)
    assert ours.keys == again.index_to_key
    np.testing.assert_array_equal(ours.vectors, again.vectors)


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_gensim_reads_what_is_written(
    kind: VocabularyFormat, suffix: str, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    path = tmp_path / f"ours{suffix}"
    WRITERS[kind](path, vocabulary)
    theirs = KeyedVectors.load_word2vec_format(str(path), binary=kind is BINARY)
    assert theirs.index_to_key == vocabulary.keys
    np.testing.assert_array_equal(theirs.vectors, vocabulary.vectors)


def test_glove_reads_as_gensim_reads_it(vocabulary: Vocabulary, tmp_path: Path) -> None:
    save_glove_text(tmp_path / "glove.txt", vocabulary)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / "glove.txt"), no_header=True)
    ours = read_vocabulary(tmp_path / "glove.txt")
    assert ours.keys == theirs.index_to_key
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)


def test_many_rows_cross_the_chunks(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(10_000, 3)).astype(np.float32)
    many = Vocabulary([f"k{i}" for i in range(10_000)], rows)
    save_word2vec_text(tmp_path / "many.txt", many)
    assert same(read_vocabulary(tmp_path / "many.txt"), many)
    assert read_vocabulary(tmp_path / "many.txt", limit=5000).keys == many.keys[:5000]


keys = st.text(
    st.characters(codec="utf-8", exclude_characters=" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85"),
    min_size=1,
    max_size=8,
).filter(lambda key: key == key.strip())
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    names=st.lists(keys, unique=True, min_size=1, max_size=12),
    dim=st.integers(2, 5),
)
def test_any_vocabulary_survives_every_format(
    data: st.DataObject, names: list[str], dim: int
) -> None:
    rows = data.draw(hnp.arrays(np.float32, (len(names), dim), elements=finite))
    whole = Vocabulary(names, rows)
    with TemporaryDirectory() as folder:
        for kind, write in WRITERS.items():
            path = Path(folder) / kind
            write(path, whole)
            found = read_vocabulary(path, format=kind)
            assert found.keys == names, kind
            np.testing.assert_array_equal(found.vectors, rows)


@pytest.mark.parametrize(
    ("dtype", "cosine"),
    [(StorageDtype.FLOAT32, 1.0), (StorageDtype.FLOAT16, 0.999999), (StorageDtype.INT8, 0.9999)],
)
def test_storage_formats_keep_directions(
    dtype: StorageDtype, cosine: float, tmp_path: Path
) -> None:
    rows = np.random.default_rng(2).normal(size=(50, 100)).astype(np.float32)
    path = tmp_path / "m.safetensors"
    whole = Vocabulary([f"k{i}" for i in range(50)], rows, np.arange(50, 0, -1), {"a": "b"})
    save_safetensors(path, whole, "node2vec", {"p": 1}, dtype, {"license": "CC0"})
    found = read_vocabulary(path)
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(found.vectors, axis=1)
    assert ((rows * found.vectors).sum(axis=1) / norms >= cosine - 1e-6).all()
    assert found.counts is not None
    assert found.counts.tolist() == list(range(50, 0, -1))
    assert found.metadata["family"] == "node2vec"
    assert found.metadata["license"] == "CC0"
    assert found.metadata["params"] == '{"p": 1}'


def test_a_file_of_ours_is_the_same_bytes_each_time(vocabulary: Vocabulary, tmp_path: Path) -> None:
    made = {str(i): "x" * i for i in range(8)}
    for name in ("a", "b"):
        save_safetensors(tmp_path / name, vocabulary, "word2vec", metadata=made)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_integer_scales_times_rows_are_the_vectors(tmp_path: Path) -> None:
    rows = np.array([[0, 0], [127, -127], [1, 0.5]], np.float32)
    save_safetensors(
        tmp_path / "m", Vocabulary(["a", "b", "c"], rows), "word2vec", dtype=StorageDtype.INT8
    )
    found = read_vocabulary(tmp_path / "m").vectors
    expected = np.array([[0, 0], [127, -127], [1, 64 / 127]], np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
