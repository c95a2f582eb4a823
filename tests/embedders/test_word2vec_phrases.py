"""Phrases, against gensim's own."""

import random
from pathlib import Path

import pytest
from gensim.models.phrases import Phrases
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import ModelFormatError, OptionError
from embedders.formats import read_vocabulary
from embedders.training import train
from embedders.word2vec.corpus import open_corpus
from embedders.word2vec.params import PhraseScoring, Word2VecParams
from embedders.word2vec.phrases import Phraser, learn_phrases

SMALL = {"dim": 8, "epochs": 1, "min_count": 2, "sample": 0.0}
FIXED = ["new york city", "new york", "a_b c", "ice cream", *[f"word{i}" for i in range(60)]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phrases of two and three words among single ones."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("phrases") / "corpus.txt"
    lines = [" ".join(rng.choices(FIXED, k=rng.randint(1, 9))) for _ in range(1500)]
    path.write_text("\n".join(lines) + "\n")
    return path


def theirs(corpus: Path, passes: int, scoring: str, threshold: float) -> list[list[str]]:
    sentences = [line.split() for line in corpus.read_text().splitlines()]
    for _ in range(passes):
        # not frozen: a frozen one forgets phrases of more than two words
        model = Phrases(sentences, min_count=3, threshold=threshold, scoring=scoring)
        sentences = [model[sentence] for sentence in sentences]
    return sentences


@pytest.mark.parametrize("passes", [0, 1, 2])
@pytest.mark.parametrize(("scoring", "threshold"), [("default", 1.5), ("npmi", 0.3)])
def test_text_is_joined_as_gensim_joins_it(
    passes: int, scoring: str, threshold: float, corpus: Path
) -> None:
    params = Word2VecParams(
        phrase_passes=passes, phrase_min_count=3, phrase_threshold=threshold,
        phrase_scoring=PhraseScoring(scoring),
    )  # fmt: skip
    with open_corpus(corpus) as text:
        joined, phraser = learn_phrases(text, params, lambda *step: None)
        found = [line.split() for line in joined.path.read_text().splitlines()]
    expected = theirs(corpus, passes, scoring, threshold)
    assert found == expected
    assert joined.words == sum(map(len, expected))
    again = Phraser.from_json(phraser.to_json())
    assert [again.apply(line.split()) for line in corpus.read_text().splitlines()] == expected
    assert ("new_york_city" in {word for line in found for word in line}) == (passes == 2)


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.sets(st.sampled_from(["a_b", "b_c"])))
def test_joining_loses_no_word(words: list[str], phrases: set[str]) -> None:
    joined = Phraser([phrases]).apply(words)
    assert [part for word in joined for part in word.split("_")] == words
    assert all("_" not in word or word in phrases for word in joined)


def test_the_model_keeps_its_phrases(corpus: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    params = {**SMALL, "phrase_passes": 2, "phrase_min_count": 3, "phrase_threshold": 1.5}
    report = train(
        "word2vec", corpus, tmp_path / "m.safetensors", params, lambda *s: told.append(s)
    )
    vocabulary = read_vocabulary(report.path)
    assert {"new_york_city", "ice_cream"} <= set(vocabulary.keys)
    phraser = Phraser.from_json(vocabulary.metadata["phrases"])
    assert phraser.apply(["big", "new", "york", "city", "sun"]) == ["big", "new_york_city", "sun"]
    assert report.metrics["phrases"] == sum(map(len, phraser.passes))
    assert [step for step in told if step[0] == "phrases"] == [("phrases", 0, 2), ("phrases", 1, 2)]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"phrase_threshold": 0.0}, "phrase_threshold"),
        ({"phrase_scoring": "npmi"}, "phrase_threshold"),
        ({"phrase_scoring": "pmi"}, "phrase_scoring"),
        ({"phrase_passes": 3}, "phrase_passes"),
    ],
)
def test_parameters_that_do_not_fit(
    params: dict[str, object], field: str, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError) as caught:
        train("word2vec", corpus, tmp_path / "m", {"phrase_passes": 1, **params})
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["{", "[1]", '["a_b"', "[[1]]", "1"])
def test_damaged_phrases_are_refused(text: str) -> None:
    with pytest.raises(ModelFormatError, match="phrases"):
        Phraser.from_json(text)
