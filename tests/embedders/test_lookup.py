from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from embedders import EncodeOptions, Item, Modality, load
from embedders.errors import (
    InvalidItemError,
    ItemError,
    ModalityError,
    OptionError,
    UnknownKeyError,
)
from embedders.formats import save_safetensors, save_word2vec_binary
from embedders.lookup import LookupEncoder
from embedders.vocabulary import Vocabulary

VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4) + 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vocabulary = Vocabulary(["king", "queen", "Man"], VECTORS, np.array([3, 2, 1]))
    save_word2vec_binary(tmp_path / "v.bin", vocabulary)
    save_safetensors(tmp_path / "model.safetensors", vocabulary, "word2vec")
    return tmp_path


def key(value: str) -> Item:
    return Item(Modality.KEY, value)


def test_rows_are_the_file_s_own(folder: Path) -> None:
    encoder = load("w", "word2vec", str(folder / "v.bin"))
    batch = encoder.prepare_batch([key("Man"), key("king"), key("Man")])
    encoded = encoder.encode([p for p in batch if not isinstance(p, ItemError)])
    np.testing.assert_array_equal(encoded.rows, VECTORS[[2, 0, 2]])
    np.testing.assert_array_equal(encoded.index, [0, 1, 2])
    assert encoder.info.dim == 4
    assert not encoder.info.normalized


def test_bad_keys_fail_alone(folder: Path) -> None:
    encoder = load("w", "word2vec", str(folder))
    found = encoder.prepare_batch(
        [key("man"), key("king"), key(""), Item(Modality.TEXT, "king"), Item(Modality.KEY, b"x")]
    )
    kinds = [type(entry) for entry in found]
    assert kinds[0] is UnknownKeyError
    assert kinds[2:] == [InvalidItemError, ModalityError, InvalidItemError]
    assert isinstance(found[0], UnknownKeyError)
    assert found[0].suggestions[0] == "Man"


def test_the_space_is_of_the_vectors_not_of_the_container(folder: Path) -> None:
    binary, ours = load("a", "word2vec", str(folder / "v.bin")), load("b", "word2vec", str(folder))
    assert binary.info.space_id == ours.info.space_id
    assert load("c", "word2vec", str(folder), {"limit": 2}).info.space_id != ours.info.space_id


def test_dimensions_cut_and_renormalise(folder: Path) -> None:
    encoder = load("w", "word2vec", str(folder))
    prepared = encoder.prepare(key("queen"), EncodeOptions())
    rows = encoder.encode([prepared], EncodeOptions(dimensions=2)).rows
    np.testing.assert_allclose(rows, [[5 / 61**0.5, 6 / 61**0.5]], rtol=1e-6)
    with pytest.raises(OptionError, match="0 to 4"):
        encoder.check_options(EncodeOptions(dimensions=5))


def test_limit_keeps_the_first_keys(folder: Path) -> None:
    encoder = load("w", "word2vec", str(folder / "v.bin"), {"limit": 2})
    assert isinstance(encoder, LookupEncoder)
    assert encoder.vocabulary.keys == ["king", "queen"]


def test_many_threads_see_the_same(folder: Path) -> None:
    encoder = load("w", "word2vec", str(folder))

    def look(i: int) -> bool:
        row = encoder.encode(
            [encoder.prepare(key(["king", "queen", "Man"][i % 3]), EncodeOptions())]
        )
        wrong = encoder.prepare_batch([key("kinng")])[0]
        return bool((row.rows[0] == VECTORS[i % 3]).all()) and "king" in str(wrong)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(300)))
