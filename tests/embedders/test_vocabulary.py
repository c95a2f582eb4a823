import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import ModelFormatError, UnknownKeyError
from embedders.spelling import SpellingIndex
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

LETTERS = "abcdefgh"
KEYS = ["the", "king", "queen", "Paris", "parish", "Zürich", "kings"]


def rows(n: int, dim: int = 4, seed: int = 0) -> FloatRows:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(KEYS, rows(len(KEYS)))


def test_keys_have_their_rows(vocabulary: Vocabulary) -> None:
    assert len(vocabulary) == 7
    assert vocabulary.dim == 4
    assert "king" in vocabulary
    assert "King" not in vocabulary
    np.testing.assert_array_equal(vocabulary.vector("queen"), rows(7)[2])
    np.testing.assert_array_equal(vocabulary.rows(["Zürich", "the"]), rows(7)[[5, 0]])


def test_rows_cannot_be_changed_by_accident(vocabulary: Vocabulary) -> None:
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.vector("the")[0] = 1


@pytest.mark.parametrize(
    ("asked", "best"),
    [
        ("KING", "king"),
        ("paris", "Paris"),
        ("quen", "queen"),
        ("qween", "queen"),
        ("jing", "king"),
        ("Zurich", "Zürich"),
        ("parisch", "parish"),
    ],
)
def test_close_spellings(vocabulary: Vocabulary, asked: str, best: str) -> None:
    assert vocabulary.suggest(asked)[0] == best
    with pytest.raises(UnknownKeyError, match=best) as caught:
        vocabulary.position(asked)
    assert caught.value.suggestions[0] == best


def test_nothing_close_suggests_nothing(vocabulary: Vocabulary) -> None:
    assert vocabulary.suggest("xylophone") == []
    with pytest.raises(UnknownKeyError, match=r"'xylophone' is not in the vocabulary$"):
        vocabulary.rows(["king", "xylophone"])


def test_frequent_keys_are_suggested_first() -> None:
    assert SpellingIndex(["cat", "car", "cap"]).suggest("caz") == ["cat", "car", "cap"]
    assert SpellingIndex(["cap", "cat", "car"]).suggest("caz", 2) == ["cap", "cat"]


@given(
    st.lists(st.text(min_size=1), unique=True, max_size=30),
    st.text(max_size=100),
    st.integers(0, 5),
)
def test_suggestions_are_distinct_keys(keys: list[str], asked: str, n: int) -> None:
    found = SpellingIndex(keys).suggest(asked, n)
    assert len(found) <= n
    assert len(set(found)) == len(found)
    assert set(found) <= set(keys)


@given(
    st.text("abcdefgh", min_size=4, max_size=12), st.integers(0, 11), st.sampled_from("abcdefgh")
)
def test_one_edit_is_always_found(key: str, place: int, letter: str) -> None:
    place %= len(key)
    wrong = key[:place] + letter + key[place + 1 :]
    index = SpellingIndex([key, LETTERS * 3])
    assert index.suggest(wrong, 1) == [key]
    assert index.suggest(key[:place] + key[place + 1 :], 1) == [key]
    assert index.suggest(key[:place] + letter + key[place:], 1) == [key]


def test_revision_is_of_keys_and_rows_alone() -> None:
    one = Vocabulary(["a", "b"], rows(2), np.array([2, 1]), {"made": "today"})
    assert one.revision == Vocabulary(["a", "b"], rows(2)).revision
    assert one.revision != Vocabulary(["b", "a"], rows(2)).revision
    assert one.revision != Vocabulary(["a", "b"], rows(2, seed=1)).revision


@pytest.mark.parametrize(
    ("keys", "vectors", "message"),
    [
        (["a", "b"], rows(3), r"2 keys, but vectors \(3, 4\)"),
        (["a", "b", "a"], rows(3), "'a' stands in row 0 and again in row 2"),
        (["a", ""], rows(2), "key 1 is empty"),
        (["a", "b\nc"], rows(2), "line feed"),
        ([], rows(0), "0 keys"),
        (["a"], rows(1, dim=0), "no dimensions"),
        (["a", "b"], np.array([[1, 2], [3, np.nan]], np.float32), "row 1 has NaN"),
        (["a", "b"], np.array([[np.inf, 2], [3, 4]], np.float32), "row 0 has NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(keys: list[str], vectors: FloatRows, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        Vocabulary(keys, vectors)


def test_counts_must_fit() -> None:
    with pytest.raises(ModelFormatError, match="counts"):
        Vocabulary(["a", "b"], rows(2), np.array([1]))
