import gzip
import hashlib
import lzma
import random
from pathlib import Path

import numpy as np
import pytest
from gensim.models import Word2Vec

from embedders import load
from embedders.errors import EmbedderError, ModelError, OptionError
from embedders.formats import read_vocabulary
from embedders.lookup import LookupEncoder
from embedders.training import TrainingReport, train
from embedders.vectors import normalize_rows
from embedders.word2vec.corpus import open_corpus

TOPICS = [topic.split() for topic in ("cat dog fur paw", "sun moon star sky", "red blue green")]
SMALL = {"dim": 16, "epochs": 5, "min_count": 2, "window": 3, "sample": 0.0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of three topics whose words never meet, and one rare word."""
    rng = random.Random(0)
    lines = [" ".join(rng.choices(rng.choice(TOPICS), k=8)) for _ in range(3000)]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join([*lines, "cat hapax dog"]) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    out = tmp_path_factory.mktemp("model") / "m.safetensors"
    return train("word2vec", corpus, out, SMALL)


def test_words_of_a_topic_are_near(trained: TrainingReport) -> None:
    encoder = load("m", "word2vec", str(trained.path))
    assert isinstance(encoder, LookupEncoder)
    words = [word for topic in TOPICS for word in topic]
    topics = [number for number, topic in enumerate(TOPICS) for _ in topic]
    rows = normalize_rows(encoder.vocabulary.rows(words))
    cosines = rows @ rows.T
    same = np.equal.outer(topics, topics)
    assert cosines[same].min() > cosines[~same].max()


def test_vectors_are_gensim_s(trained: TrainingReport, corpus: Path) -> None:
    theirs = Word2Vec(
        corpus_file=str(corpus), vector_size=16, epochs=5, min_count=2, window=3, sample=0,
        sg=1, negative=5, seed=1, workers=1,
    )  # fmt: skip
    ours = read_vocabulary(trained.path)
    assert ours.keys == theirs.wv.index_to_key
    np.testing.assert_array_equal(ours.vectors, theirs.wv.vectors)


def test_the_report_and_the_file_tell_how_it_was_made(
    trained: TrainingReport, corpus: Path
) -> None:
    vocabulary = read_vocabulary(trained.path)
    assert trained.revision == vocabulary.revision
    assert (trained.keys, trained.dim) == (11, 16)
    assert vocabulary.counts is not None
    assert list(vocabulary.counts) == sorted(vocabulary.counts, reverse=True)
    assert vocabulary.counts.sum() == 8 * 3000 + 2
    told = vocabulary.metadata
    assert told["corpus_sha256"] == hashlib.sha256(corpus.read_bytes()).hexdigest()
    assert told["corpus_words"] == "24003"
    assert '"min_count": 2' in told["params"]
    assert trained.metrics["words_per_second"] > 0
    assert trained.metrics["loss_per_word"] > 0


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_corpora_give_the_same_vectors(
    pack: object, trained: TrainingReport, corpus: Path, tmp_path: Path
) -> None:
    assert callable(pack)
    packed = tmp_path / "corpus.packed"
    packed.write_bytes(pack(corpus.read_bytes()))
    report = train("word2vec", packed, tmp_path / "m.safetensors", SMALL)
    assert report.revision == trained.revision


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_storage_and_architecture_and_a_cut_vocabulary(
    storage: str, corpus: Path, tmp_path: Path
) -> None:
    params = {**SMALL, "storage": storage, "architecture": "cbow", "max_vocabulary": 5}
    report = train("word2vec", corpus, tmp_path / "m.safetensors", params)
    assert report.keys <= 5
    assert (tmp_path / "m.safetensors").stat().st_size < 4096


def test_progress_counts_epochs_and_can_cancel(corpus: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    train("word2vec", corpus, tmp_path / "m", SMALL, lambda *step: told.append(step))
    assert told == [("read", 0, 1), ("count", 0, 1), *[("train", i, 5) for i in range(6)]]

    def cancel(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("word2vec", corpus, tmp_path / "cancelled", SMALL, cancel)
    assert not (tmp_path / "cancelled").exists()


@pytest.mark.parametrize(
    ("content", "params", "field", "message"),
    [
        (b"", {}, "source", "no words; one sentence a line"),
        (b"\n \n", {}, "source", "no words"),
        (b"a b c\n", {}, "min_count", "none of the 3 words.*occurs 5 times: lower min_count"),
        (b"\xff\n\xfe\n", {}, "source", "no words.*line 1 and 1 others are not UTF-8"),
        (gzip.compress(b"a b c\n" * 500)[:-9], {}, "source", "damaged or cut off"),
        (lzma.compress(b"a b c\n" * 500)[:-9], {}, "source", "damaged or cut off"),
        (b"a b c\n", {"dim": 0}, "dim", "greater than or equal to 1"),
        (b"a b c\n", {"epoch": 3}, "epoch", "options: alpha, .*architecture"),
        (b"a b c\n", {"architecture": "glove"}, "architecture", "'skip-gram' or 'cbow'"),
    ],
)
def test_what_cannot_be_trained_names_the_cure(
    content: bytes, params: dict[str, object], field: str, message: str, tmp_path: Path
) -> None:
    source = tmp_path / "corpus"
    source.write_bytes(content)
    with pytest.raises(OptionError, match=message) as caught:
        train("word2vec", source, tmp_path / "m", params)
    assert caught.value.field == field
    assert not (tmp_path / "m").exists()


def test_a_missing_corpus_and_a_family_without_trainer(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        train("word2vec", tmp_path / "none", tmp_path / "m")
    with pytest.raises(ModelError, match=r"'sentence' has no trainer; one of: .*word2vec"):
        train("sentence", tmp_path / "none", tmp_path / "m")


def test_long_lines_are_cut_and_nothing_is_left_behind(tmp_path: Path) -> None:
    source = tmp_path / "corpus.txt"
    source.write_text(" ".join(["word"] * 25_000) + "\n\nshort line\n")
    with open_corpus(source) as corpus:
        lengths = [len(line.split()) for line in corpus.path.read_text().splitlines()]
        assert (corpus.lines, corpus.words) == (3, 25_002)
    assert lengths == [10_000, 10_000, 5_000, 2]
    assert not corpus.path.exists()
    with pytest.raises(EmbedderError), open_corpus(tmp_path):
        pass
