"""Analogy questions during training, against gensim's own evaluation."""

import random
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from embedders.errors import OptionError
from embedders.formats import read_vocabulary
from embedders.training import train
from embedders.word2vec.analogies import read_questions, score_analogies

SMALL = {"dim": 16, "epochs": 3, "min_count": 1, "window": 3, "sample": 0.0}


class Told:
    """Progress that keeps the figures it hears."""

    def __init__(self) -> None:
        self.noted: list[dict[str, float]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        pass

    def note(self, **metrics: float) -> None:
        self.noted.append(metrics)


def test_the_score_is_gensim_s(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keys = [f"w{i}" for i in range(40)]
    base, offsets = rng.normal(size=(10, 8)), rng.normal(size=(4, 8))
    rows = (base[:, None] + offsets[None] + rng.normal(size=(10, 4, 8)) * 0.3).reshape(40, 8)
    lines = [": one"]
    for _ in range(600):
        i, j, one, two = *rng.choice(10, 2, replace=False), *rng.choice(4, 2, replace=False)
        words = [f"w{x * 4 + y}" for x, y in ((i, one), (i, two), (j, one), (j, two))]
        lines.append(" ".join(words).upper() if rng.random() < 0.5 else " ".join(words))
    lines += [": two", "w1 w2 w3 unknown"]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines))
    theirs = KeyedVectors(8)
    theirs.add_vectors(keys, rows.astype(np.float32))
    expected, sections = theirs.evaluate_word_analogies(str(path))
    score = score_analogies(keys, rows.astype(np.float32), read_questions(str(path)))
    assert score.accuracy == pytest.approx(expected)
    assert 0.1 < expected < 0.95
    assert score.right == len(sections[-1]["correct"])
    assert (score.answered, score.asked) == (600, 601)


def test_every_epoch_is_scored(tmp_path: Path) -> None:
    rng = random.Random(0)
    names = [f"n{i}" for i in range(12)]
    lines = [
        f"{name} {rng.choice(['male', 'reigns'])} king{name}" for _ in range(400) for name in names
    ]
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(lines) + "\n")
    questions = tmp_path / "questions.txt"
    questions.write_text(": kings\n" + "\n".join(f"n0 kingn0 {n} king{n}" for n in names[1:]))
    told = Told()
    report = train(
        "word2vec", corpus, tmp_path / "m.safetensors", {**SMALL, "analogies": str(questions)},
        told,
    )  # fmt: skip
    vocabulary = read_vocabulary(report.path)
    last = score_analogies(
        vocabulary.keys, vocabulary.vectors, read_questions(str(questions))
    ).accuracy
    metrics = report.metrics
    assert metrics["analogies_accuracy"] == metrics["analogies_epoch_3"] == last
    assert metrics["analogies_coverage"] == 1
    assert f"{last:.6g}" == vocabulary.metadata["analogies_accuracy"]
    epochs = [metrics[f"analogies_epoch_{number}"] for number in (1, 2, 3)]
    noted = [figures["analogies_accuracy"] for figures in told.noted if "epoch_loss" not in figures]
    assert noted == epochs


def test_the_vocabulary_is_limited_to_frequent_words(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b a c a b\n" * 50 + "rare\n")
    questions = tmp_path / "questions.txt"
    questions.write_text("a b c rare\n")
    for limit, coverage in ((3, 0), (0, 1)):
        params = {**SMALL, "analogies": str(questions), "analogy_vocabulary": limit}
        report = train("word2vec", corpus, tmp_path / "m", params)
        assert report.metrics["analogies_coverage"] == coverage


def test_google_s_questions_come_with_gensim() -> None:
    questions = read_questions("google")
    assert len(questions.words) == 19_544
    assert questions.words[0] == ["Athens", "Greece", "Baghdad", "Iraq"]


@pytest.mark.parametrize("content", [None, b"\xff", b"a b c\n", b": empty\n"])
def test_questions_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=r"questions\.txt") as caught:
        read_questions(str(path))
    assert caught.value.field == "analogies"
