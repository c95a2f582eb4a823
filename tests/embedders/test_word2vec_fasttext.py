"""fastText's .bin, against gensim's own reader of it."""

import gzip
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from gensim.models.fasttext import FastText, load_facebook_vectors, save_facebook_model
from gensim.test.utils import datapath

from embedders import EncodeOptions, Item, Modality, load
from embedders.errors import ItemError, ModelFormatError, UnknownKeyError
from embedders.formats import VocabularyFormat, read_vocabulary, sniff
from embedders.lookup import LookupEncoder

WORDS = ["king", "queen", "kingdom", "Zürich", "kätzchen", "日本語", "cat", "cats", "a", "of"]
UNSEEN = ["kings", "queenly", "Zürcher", "kätzchens", "日本", "catty", "zz"]
COMPOSE = EncodeOptions(compose_unknown=True)


def save(folder: Path, **options: object) -> Path:
    rng = random.Random(0)
    sentences = [rng.choices(WORDS, k=6) for _ in range(300)]
    model = FastText(
        sentences, vector_size=12, min_count=1, epochs=2, workers=1, seed=1,
        **{"bucket": 500, **options},
    )  # fmt: skip
    save_facebook_model(model, str(folder / "model.bin"))
    return folder / "model.bin"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("fasttext"))


@pytest.fixture(scope="module")
def encoder(path: Path) -> LookupEncoder:
    loaded = load("f", "word2vec", str(path))
    assert isinstance(loaded, LookupEncoder)
    return loaded


def key(value: str) -> Item:
    return Item(Modality.KEY, value)


def test_seen_and_unseen_words_have_gensim_s_rows(path: Path, encoder: LookupEncoder) -> None:
    theirs = load_facebook_vectors(str(path))
    asked = [*WORDS, *UNSEEN]
    prepared = [encoder.prepare(key(word), COMPOSE) for word in asked]
    rows = encoder.encode(prepared, COMPOSE).rows
    np.testing.assert_allclose(rows, [theirs[word] for word in asked], atol=1e-6)
    assert [p.composed for p in prepared] == [word in UNSEEN for word in asked]
    assert encoder.vocabulary.keys == theirs.index_to_key
    counts = [theirs.get_vecattr(word, "count") for word in theirs.index_to_key]
    np.testing.assert_array_equal(encoder.vocabulary.counts, counts)


def test_unseen_words_are_refused_unless_asked_for(encoder: LookupEncoder) -> None:
    found = encoder.prepare_batch([key("kings"), key("king")])
    assert isinstance(found[0], UnknownKeyError)
    assert "'kings' is not in the vocabulary" in str(found[0])
    assert "compose_unknown_keys makes a row of its subwords" in str(found[0])
    assert found[0].suggestions[0] == "king"
    assert not isinstance(found[1], ItemError)


def test_words_without_subwords_stay_unknown(path: Path, tmp_path: Path) -> None:
    longer = load("f", "word2vec", str(save(tmp_path, min_n=5, max_n=6)))
    with pytest.raises(UnknownKeyError) as caught:
        longer.prepare(key("x"), COMPOSE)
    assert "compose" not in str(caught.value)


def test_a_model_without_subwords_only_looks_up(tmp_path: Path) -> None:
    plain = save(tmp_path, max_n=0, bucket=0)
    encoder = load("f", "word2vec", str(plain))
    row = encoder.encode([encoder.prepare(key("king"), COMPOSE)]).rows[0]
    np.testing.assert_allclose(row, load_facebook_vectors(str(plain))["king"], atol=1e-6)
    with pytest.raises(UnknownKeyError):
        encoder.prepare(key("kings"), COMPOSE)


def test_a_vocabulary_of_rows_alone_does_not_compose() -> None:
    words = load("w", "word2vec")
    with pytest.raises(UnknownKeyError) as caught:
        words.prepare(key("qwertyuiopqwerty"), COMPOSE)
    assert "compose" not in str(caught.value)


def test_packed_and_cut(path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "m.bin.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert sniff(packed) is VocabularyFormat.FASTTEXT
    whole = read_vocabulary(packed)
    assert whole.revision == read_vocabulary(path).revision
    few = read_vocabulary(path, limit=3)
    assert few.keys == whole.keys[:3]
    np.testing.assert_array_equal(few.vectors, whole.vectors[:3])
    assert few.subwords is not None
    assert few.subwords.compose(whole.keys[5]) is not None


HEAD = struct.calcsize("<2i12id")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, struct.pack("<i", 13), "version 13; 11 and 12 are read"),
        (8, struct.pack("<i", 13), "a matrix .* 12 for 10 words of 13 numbers"),
        (40, struct.pack("<i", 7), "a matrix"),
        (HEAD, struct.pack("<3i", 10, 10, 1), "a supervised model"),
        (HEAD, struct.pack("<3i", 2**31 - 1, 2**31 - 1, 0), "2147483647 entries"),
        (HEAD, struct.pack("<3i", -1, -1, 0), "-1 entries"),
        (HEAD + 20, struct.pack("<q", 3), "a pruned model"),
    ],
)
def test_damaged_heads(place: int, value: bytes, message: str, path: Path, tmp_path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[place : place + len(value)] = value
    damaged = tmp_path / "m.bin"
    damaged.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_vocabulary(damaged)
    assert str(damaged) in str(caught.value)


def test_every_cut_is_seen(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    rows = 4 * 12 * 510
    damaged = tmp_path / "m.bin"
    # what follows the rows is the output matrix, which is not read
    end = len(content) - (1 + 16 + 4 * 12 * 10)
    for stop in [*range(5, end - rows + 40, 7), end - 1]:
        damaged.write_bytes(content[:stop])
        with pytest.raises(ModelFormatError):
            read_vocabulary(damaged)
    damaged.write_bytes(content[:end])
    assert len(read_vocabulary(damaged)) == 10


def test_quantised_rows_are_refused(path: Path, tmp_path: Path) -> None:
    content = bytearray(path.read_bytes())
    flag = content.index(struct.pack("<2q", 510, 12)) - 1
    content[flag] = 1
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"a quantised model \(\.ftz\)"):
        read_vocabulary(tmp_path / "m.bin")


@pytest.mark.parametrize(
    ("name", "words"),
    [("lee_fasttext_new.bin", 1763), ("lee_fasttext.bin", 1762), ("non_ascii_fasttext.bin", 171)],
)
def test_files_of_older_fasttext_versions(name: str, words: int, tmp_path: Path) -> None:
    """Version 11, and the files before versions were counted."""
    path = tmp_path / name
    path.write_bytes(Path(datapath(name)).read_bytes())
    assert sniff(path) is VocabularyFormat.FASTTEXT
    theirs, encoder = load_facebook_vectors(str(path)), load("f", "word2vec", str(path))
    assert isinstance(encoder, LookupEncoder)
    assert len(encoder.vocabulary) == words
    assert encoder.vocabulary.keys == theirs.index_to_key
    # fastText's own code gives the end of a sentence no n-grams, gensim's gives it some
    words_alone = [place for place, word in enumerate(theirs.index_to_key) if word != "</s>"]
    ours = encoder.vocabulary.vectors
    np.testing.assert_allclose(ours[words_alone], theirs.vectors[words_alone], atol=1e-6)
    if "</s>" in theirs.key_to_index:
        end = theirs.key_to_index["</s>"]
        np.testing.assert_array_equal(ours[end], theirs.vectors_vocab[end])
    unseen = ["unheardof", "Kätzchens", "zz"]
    prepared = [encoder.prepare(key(word), COMPOSE) for word in unseen]
    rows = encoder.encode(prepared, COMPOSE).rows
    np.testing.assert_allclose(rows, [theirs[word] for word in unseen], atol=1e-6)
