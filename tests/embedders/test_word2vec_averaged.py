"""Averaged word vectors, against gensim's `get_mean_vector` and numpy."""

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st

from embedders import EncodeOptions, Encoder, Item, Modality, Prepared, load
from embedders.errors import InvalidItemError, ItemTooLargeError, ModalityError, OptionError
from embedders.formats import save_safetensors, save_word2vec_binary
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

KEYS = ["the", "of", "king", "queen", "new", "york", "new_york", "zürich", "anti"]
COUNTS = np.array([500, 300, 50, 40, 30, 20, 10, 5, 1])
ROWS = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
ROWS[8] = -ROWS[2] * 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("averaged") / "v.safetensors"
    phrases = {"phrases": '[["new_york", "of_the"]]'}
    save_safetensors(made, Vocabulary(KEYS, ROWS, COUNTS), "word2vec", metadata=phrases)
    return made


@pytest.fixture(scope="module")
def mean(path: Path) -> Encoder:
    return load("m", "averaged", str(path))


@pytest.fixture(scope="module")
def sif(path: Path) -> Encoder:
    return load("m", "averaged", str(path), {"weighting": "sif", "sif_a": 0.01})


@pytest.fixture(scope="module")
def theirs() -> KeyedVectors:
    vectors = KeyedVectors(6)
    vectors.add_vectors(KEYS, ROWS)
    return vectors


def text(value: str) -> Item:
    return Item(Modality.TEXT, value)


def embed(encoder: Encoder, *texts: str) -> FloatRows:
    prepared = encoder.prepare_batch([text(value) for value in texts])
    return encoder.encode([p for p in prepared if isinstance(p, Prepared)]).rows


@given(st.lists(st.sampled_from([*KEYS[:6], "zürich", "unknown"]), min_size=1, max_size=8))
def test_rows_are_gensim_s(
    mean: Encoder, sif: Encoder, theirs: KeyedVectors, words: list[str]
) -> None:
    joined = " ".join(words).replace("new york", "new_york").split()
    known = [word for word in joined if word in theirs]
    if not known:
        return
    expected = theirs.get_mean_vector(known, post_normalize=True)
    np.testing.assert_allclose(embed(mean, " ".join(words))[0], expected, atol=1e-5)
    shares = COUNTS / COUNTS.sum()
    weights = [0.01 / (0.01 + shares[KEYS.index(word)]) for word in known]
    expected = theirs.get_mean_vector(known, weights, post_normalize=True)
    np.testing.assert_allclose(embed(sif, " ".join(words))[0], expected, atol=1e-5)


def test_texts_are_taken_apart(mean: Encoder) -> None:
    rows = embed(mean, "The KING, of the queen!", "the king of the queen", "Zürich (New York)")
    np.testing.assert_array_equal(rows[0], rows[1])
    prepared = mean.prepare(text("Zürich (New York) xyzzy!"), EncodeOptions())
    assert (prepared.tokens, prepared.cost, prepared.truncated) == (4, 2, False)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_phrases_that_are_no_key_come_apart(mean: Encoder, theirs: KeyedVectors) -> None:
    """The training joined "of the", but it was too rare to be kept."""
    expected = theirs.get_mean_vector(["king", "of", "the", "queen"], post_normalize=True)
    np.testing.assert_allclose(embed(mean, "king of the queen")[0], expected, atol=1e-6)


def test_bad_texts_fail_alone(mean: Encoder, path: Path) -> None:
    found = mean.prepare_batch(
        [text("king"), text("xyzzy plugh"), text(" ?!"), text(""), Item(Modality.KEY, "king")]
    )
    assert [type(entry).__name__ for entry in found] == [
        "Prepared", "InvalidItemError", "InvalidItemError", "InvalidItemError", "ModalityError",
    ]  # fmt: skip
    assert "none of the 2 words" in str(found[1])
    assert "no words" in str(found[2])
    assert isinstance(found[4], ModalityError)
    short = load("m", "averaged", str(path), {"max_characters": 5})
    with pytest.raises(ItemTooLargeError, match="6 characters, at most 5"):
        short.prepare(text("king  "), EncodeOptions())


def test_words_that_cancel_out_fail_alone(mean: Encoder) -> None:
    options = EncodeOptions()
    batch = [mean.prepare(text(value), options) for value in ("king", "king anti", "queen")]
    encoded = mean.encode(batch, options)
    np.testing.assert_array_equal(encoded.index, [0, 2])
    assert isinstance(encoded.errors[1], InvalidItemError)
    assert np.isfinite(encoded.rows).all()


def test_unseen_words_of_a_fasttext_model(tmp_path: Path) -> None:
    from gensim.models.fasttext import FastText, load_facebook_vectors, save_facebook_model

    sentences = [["kings", "queens", "ruled"], ["cats", "dogs", "played"]] * 20
    save_facebook_model(
        FastText(sentences, vector_size=8, min_count=1, bucket=200, workers=1),
        str(tmp_path / "f.bin"),
    )
    ours, theirs = load("f", "averaged", str(tmp_path / "f.bin")), tmp_path / "f.bin"
    options = EncodeOptions(compose_unknown=True)
    prepared = ours.prepare(text("Kings playing catty"), options)
    assert (prepared.composed, prepared.cost) == (True, 3)
    vectors = load_facebook_vectors(str(theirs))
    units = [vectors.get_vector(w, norm=True) for w in ("kings", "playing", "catty")]
    expected = np.sum(units, axis=0) / np.linalg.norm(np.sum(units, axis=0))
    np.testing.assert_allclose(ours.encode([prepared], options).rows[0], expected, atol=1e-5)
    with pytest.raises(InvalidItemError, match="none of the 1 words"):
        ours.prepare(text("playing"), EncodeOptions())


def test_sif_needs_counts(tmp_path: Path) -> None:
    save_word2vec_binary(tmp_path / "v.bin", Vocabulary(KEYS, ROWS))
    with pytest.raises(OptionError, match="sif needs the counts") as caught:
        load("m", "averaged", str(tmp_path / "v.bin"), {"weighting": "sif"})
    assert caught.value.field == "weighting"


def test_whatever_changes_rows_changes_the_space(mean: Encoder, sif: Encoder, path: Path) -> None:
    options = ({"limit": 8}, {"lowercase": False}, {"weighting": "sif"})
    spaces = [load("m", "averaged", str(path), chosen).info.space_id for chosen in options]
    bare = path.with_name("bare.safetensors")
    save_safetensors(bare, Vocabulary(KEYS, ROWS, COUNTS), "word2vec")
    spaces += [load("m", "averaged", str(bare)).info.space_id]
    spaces += [mean.info.space_id, sif.info.space_id]
    spaces += [load("w", "word2vec", str(path)).info.space_id]
    assert len(set(spaces)) == 7
