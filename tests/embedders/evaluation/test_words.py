"""Analogies and word similarity, question by question beside gensim."""

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedders.base import Encoder
from embedders.errors import OptionError
from embedders.evaluation import run
from embedders.evaluation.analogies import answer, read_questions
from embedders.evaluation.local import LocalSubject
from embedders.evaluation.words import FoldedVocabulary
from embedders.formats import read_vocabulary
from embedders.sources import model_file
from embedders.training import silent
from embedders.word2vec.encoder import Word2VecEncoder
from tests.embedders.evaluation.conftest import Lookup, keyed


@pytest.fixture(scope="module")
def mini() -> LocalSubject:
    encoder: Encoder = Word2VecEncoder("words", read_vocabulary(model_file("words-mini"), 20_000))
    return LocalSubject(encoder)


@pytest.fixture(scope="module")
def theirs(mini: LocalSubject) -> KeyedVectors:
    return keyed(*mini.vocabulary(0))


def ours(
    path: Path, keys: list[str], rows: np.ndarray, fold: bool = True
) -> tuple[list[list[str]], list[list[str]]]:
    """Questions answered rightly and wrongly, in the file's order."""
    questions = read_questions(path)
    known, right = answer(FoldedVocabulary(keys, rows, fold), questions, silent)
    words = questions.words
    return (
        [words[i] for i in np.flatnonzero(known & right)],
        [words[i] for i in np.flatnonzero(known & ~right)],
    )


def gensims(
    path: Path, vectors: KeyedVectors, fold: bool = True
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    _, sections = vectors.evaluate_word_analogies(str(path), case_insensitive=fold)
    return sections[-1]["correct"], sections[-1]["incorrect"]


def upper(found: list[list[str]], fold: bool) -> list[tuple[str, ...]]:
    return [tuple(word.upper() if fold else word for word in words) for words in found]


def test_the_shipped_words_answer_as_in_gensim(
    tmp_path: Path, mini: LocalSubject, theirs: KeyedVectors
) -> None:
    lines = Path(datapath("questions-words.txt")).read_text().splitlines()
    some = [line for i, line in enumerate(lines) if line.startswith(":") or i % 40 == 0]
    path = tmp_path / "some.txt"
    path.write_text("\n".join(some))
    right, wrong = ours(path, *mini.vocabulary(0))
    correct, incorrect = gensims(path, theirs)
    assert len(right) > 100
    assert len(wrong) > 50
    assert upper(right, True) == correct
    assert upper(wrong, True) == incorrect
    found = run(mini, "analogies", str(path))
    figures = {figure.name: figure for figure in found.figures}
    assert figures["accuracy"].value == len(correct) / (len(correct) + len(incorrect))
    assert figures["accuracy"].items == len(right) + len(wrong)
    asked = sum(not line.startswith(":") for line in some)
    assert found.coverage == pytest.approx((len(right) + len(wrong)) / asked)
    parts = figures["accuracy/semantic"], figures["accuracy/syntactic"]
    assert sum(part.items for part in parts) == figures["accuracy"].items
    assert sum(part.value * part.items for part in parts) == pytest.approx(len(right))


WORDS = ["Paris", "paris", "PARIS", "king", "King", "queen", "man", "woman", "rome", "Oslo", "a"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10_000),
    words=st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=40, max_size=40),
    fold=st.booleans(),
)
def test_spellings_and_repeated_words_count_as_in_gensim(
    tmp_path: Path, seed: int, words: list[str], fold: bool
) -> None:
    rows = np.random.default_rng(seed).standard_normal((len(WORDS), 4)).astype(np.float32)
    path = tmp_path / "questions.txt"
    quads = [" ".join(words[i : i + 4]) for i in range(0, 40, 4)]
    path.write_text("\n".join([": first", *quads[:5], ": gram2", *quads[5:]]))
    right, wrong = ours(path, WORDS, rows, fold)
    correct, incorrect = gensims(path, keyed(WORDS, rows), fold)
    assert upper(right, fold) == correct
    assert upper(wrong, fold) == incorrect


@pytest.mark.parametrize("name", ["wordsim353", "simlex999"])
def test_word_similarity_equals_gensims(
    mini: LocalSubject, theirs: KeyedVectors, name: str
) -> None:
    found = run(mini, "word_similarity", name)
    ending = "tsv" if name == "wordsim353" else "txt"
    pearson, spearman, unknown = theirs.evaluate_word_pairs(datapath(f"{name}.{ending}"))
    figures = {figure.name: figure for figure in found.figures}
    assert figures[f"spearman/{name}"].value == pytest.approx(spearman[0], abs=1e-6)
    assert figures[f"pearson/{name}"].value == pytest.approx(pearson[0], abs=1e-6)
    assert found.coverage == pytest.approx(1 - unknown / 100)
    one = figures[f"spearman/{name}"]
    assert one.low < one.value < one.high


def test_unknown_words_may_count_as_wrong(tmp_path: Path, lookup: Lookup) -> None:
    path = tmp_path / "q.txt"
    path.write_text(": s\na b c d\na b c zebra\n")
    model = lookup(["a", "b", "c", "d"], np.eye(4, dtype=np.float32))
    skipped = run(model, "analogies", str(path))
    counted = run(model, "analogies", str(path), {"unknown_is_wrong": True})
    assert (skipped.figures[0].items, skipped.coverage) == (1, 0.5)
    assert (counted.figures[0].items, counted.figures[0].value) == (2, 0.5)
    pairs = tmp_path / "p.tsv"
    pairs.write_text("a\tb\t1\na\tc\t2\na\td\t3\nb\tzebra\t4\n")
    rows = np.array([[1, 0], [1, 1], [1, 2], [0, 1]], np.float32)
    known = run(lookup(["a", "b", "c", "d"], rows), "word_similarity", str(pairs))
    assert known.figures[0].value == pytest.approx(-1)
    assert (known.figures[0].items, known.coverage) == (3, 0.75)
    zero = {"unknown_is_zero": True}
    assert (
        run(lookup(["a", "b", "c", "d"], rows), "word_similarity", str(pairs), zero)
        .figures[0]
        .items
        == 4
    )


def test_texts_are_compared_too(tmp_path: Path, toy: LocalSubject) -> None:
    pairs = tmp_path / "p.tsv"
    pairs.write_text("first\tsecond\tscore\nx y\tx y\t9\nx y\tx z\t5\nx\tw\t1\n")
    found = run(toy, "word_similarity", str(pairs))
    assert found.figures[0].value == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "text", "said"),
    [
        ("analogies", "a b c\n", "line 1 has 3 words"),
        ("analogies", ": only a head\n", "no questions"),
        ("analogies", ": x\nno such words here\n", "does not know"),
        ("word_similarity", "a\tb\n", "line 1 has 2 columns"),
        ("word_similarity", "a\tb\t1\na\tb\tmuch\n", "line 2, column 3"),
        ("word_similarity", "a\tb\t1\na\tc\t2\n", "2 pairs"),
        ("word_similarity", "a\tb\t1\na\tc\t1\nb\tc\t1\n", "are the same"),
        ("word_similarity", "x\ty\t1\n", "does not know"),
    ],
)
def test_bad_files_are_told(
    tmp_path: Path, lookup: Lookup, task: str, text: str, said: str
) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    model = lookup(["a", "b", "c", "d"], np.eye(4, dtype=np.float32))
    with pytest.raises(OptionError, match=said) as caught:
        run(model, task, str(path))
    assert caught.value.field == "source"


def test_what_does_not_fit_is_refused(toy: LocalSubject) -> None:
    with pytest.raises(OptionError, match="vocabulary"):
        run(toy, "analogies")
    with pytest.raises(OptionError, match="no_such"):
        run(toy, "analogies", "", {"no_such": 1})
    with pytest.raises(OptionError, match="limit"):
        run(toy, "analogies", "", {"limit": -1})
