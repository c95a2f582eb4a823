"""Analogies against gensim on the same vectors, and against plain formulas."""

import numpy as np
import pytest
from gensim.models import KeyedVectors

from embedders.vectors import FloatRows, normalize_rows
from index.analogy import AnalogyMethod, Terms, analogies
from index.errors import QueryError
from index.types import CollectionSpec, Hits, Metric
from index.vocabulary import VocabularyCollection

COUNT, DIM = 3000, 40
KEYS = [f"w{number}" for number in range(COUNT)]


def matrix() -> FloatRows:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((60, DIM))
    rows = centers[rng.integers(0, 60, COUNT)] + 0.8 * rng.standard_normal((COUNT, DIM))
    return (rows * rng.uniform(0.2, 5, (COUNT, 1))).astype(np.float32)


MATRIX = matrix()


@pytest.fixture(scope="module")
def words() -> VocabularyCollection:
    return VocabularyCollection("words", KEYS, MATRIX, CollectionSpec(DIM))


@pytest.fixture(scope="module")
def peer() -> KeyedVectors:
    vectors = KeyedVectors(DIM)
    vectors.add_vectors(KEYS, MATRIX)
    return vectors


def ask(
    words: VocabularyCollection,
    questions: list[list[tuple[str, float]]],
    k: int = 10,
    method: AnalogyMethod = AnalogyMethod.COS_ADD,
    limit: int = 0,
    threads: int = 2,
) -> Hits:
    unique = list(dict.fromkeys(key for terms in questions for key, _ in terms))
    inputs = normalize_rows(MATRIX[[KEYS.index(key) for key in unique]])
    numbered: list[Terms] = [
        [(unique.index(key), weight) for key, weight in terms] for terms in questions
    ]
    excluded = [[key for key, _ in terms] for terms in questions]
    return analogies(
        words, inputs, numbered, k, method, excluded=excluded, limit=limit, threads=threads
    )


def random_questions(seed: int, count: int, among: int) -> list[list[tuple[str, float]]]:
    rng = np.random.default_rng(seed)
    picked = [rng.choice(among, 3, replace=False) for _ in range(count)]
    return [[(KEYS[b], 1.0), (KEYS[c], 1.0), (KEYS[a], -1.0)] for a, b, c in picked]


def split(terms: list[tuple[str, float]]) -> tuple[list[str], list[str]]:
    return [key for key, w in terms if w > 0], [key for key, w in terms if w < 0]


def check(hits: Hits, number: int, expected: list[tuple[str, float]]) -> None:
    first = int(hits.counts[:number].sum())
    last = first + int(hits.counts[number])
    assert list(hits.points.ids[first:last]) == [key for key, _ in expected]
    np.testing.assert_allclose(hits.scores[first:last], [score for _, score in expected], atol=1e-5)


# few inputs are combined from their scores, many are added up first
@pytest.mark.parametrize("among", [30, COUNT])
@pytest.mark.parametrize("limit", [0, 700])
def test_cos_add_gives_gensims_answers(
    words: VocabularyCollection, peer: KeyedVectors, among: int, limit: int
) -> None:
    questions = random_questions(1, 150, among)
    hits = ask(words, questions, limit=limit)
    for number, terms in enumerate(questions):
        positive, negative = split(terms)
        check(hits, number, peer.most_similar(positive, negative, restrict_vocab=limit or None))


@pytest.mark.parametrize("among", [30, COUNT])
def test_cos_mul_gives_gensims_answers(
    words: VocabularyCollection, peer: KeyedVectors, among: int
) -> None:
    questions = random_questions(2, 150, among)
    questions += [
        [("w1", 1.0)],
        [("w1", 1.0), ("w2", 1.0), ("w9", 1.0), ("w3", -1.0), ("w4", -1.0)],
    ]
    hits = ask(words, questions, method=AnalogyMethod.COS_MUL)
    for number, terms in enumerate(questions):
        check(hits, number, peer.most_similar_cosmul(*split(terms)))


@pytest.mark.parametrize("many", [1, 40])
def test_weighted_cos_add_gives_gensims_answers(
    words: VocabularyCollection, peer: KeyedVectors, many: int
) -> None:
    rng = np.random.default_rng(3)
    questions = []
    for _ in range(many):
        size = int(rng.integers(1, 6))
        picked = rng.choice(12, size, replace=False)
        weights = np.sort(rng.choice([2.0, 1.0, 0.5, -0.5, -1.0, -3.0], size))[::-1]
        questions.append(
            [(KEYS[place], float(w)) for place, w in zip(picked, weights, strict=True)]
        )
    hits = ask(words, questions)
    for number, terms in enumerate(questions):
        check(hits, number, peer.most_similar(positive=terms))


def test_the_best_answer_alone_is_the_first_of_ten(words: VocabularyCollection) -> None:
    questions = random_questions(4, 300, 50)
    for method in AnalogyMethod:
        ten = ask(words, questions, 10, method)
        one = ask(words, questions, 1, method, threads=1)
        assert list(one.points.ids) == list(ten.points.ids[::10])
        np.testing.assert_array_equal(one.scores, ten.scores[::10])


def unit() -> FloatRows:
    return normalize_rows(MATRIX).astype(np.float64)


def test_weights_are_exponents_of_cos_mul(words: VocabularyCollection) -> None:
    hits = ask(words, [[("w1", 2.0), ("w2", 0.5), ("w3", -1.5)]], 5, AnalogyMethod.COS_MUL)
    rows = unit()
    shifted = (1 + rows @ rows[[1, 2, 3]].T) / 2
    scores = shifted[:, 0] ** 2 * shifted[:, 1] ** 0.5 / (shifted[:, 2] ** 1.5 + 1e-6)
    scores[[1, 2, 3]] = -1
    order = np.argsort(-scores)[:5]
    assert list(hits.points.ids) == [KEYS[place] for place in order]
    np.testing.assert_allclose(hits.scores, scores[order], rtol=1e-4)


def test_pair_direction_is_its_formula(words: VocabularyCollection) -> None:
    questions = random_questions(5, 40, COUNT)
    hits = ask(words, questions, 10, AnalogyMethod.PAIR_DIRECTION)
    rows = unit()
    for number, terms in enumerate(questions):
        b, c, a = (KEYS.index(key) for key, _ in terms)
        direction, steps = rows[b] - rows[a], rows - rows[c]
        lengths = np.linalg.norm(steps, axis=1) * np.linalg.norm(direction)
        scores = steps @ direction / np.where(lengths > 0, lengths, 1)
        scores[[a, b, c]] = -9
        order = np.argsort(-scores)[:10]
        check(hits, number, [(KEYS[place], float(scores[place])) for place in order])


def test_inputs_stay_among_the_answers_where_nothing_is_excluded(
    words: VocabularyCollection,
) -> None:
    inputs = normalize_rows(MATRIX[7:8])
    hits = analogies(words, inputs, [[(0, 1.0)]], 1)
    assert list(hits.points.ids) == ["w7"]
    np.testing.assert_allclose(hits.scores, [1], atol=1e-6)


def test_other_metrics_are_scaled_first() -> None:
    plain = VocabularyCollection("p", KEYS, MATRIX, CollectionSpec(DIM, metric=Metric.DOT))
    scaled = VocabularyCollection("s", KEYS, MATRIX, CollectionSpec(DIM))
    questions = random_questions(6, 50, 60)
    one, other = ask(plain, questions), ask(scaled, questions)
    assert list(one.points.ids) == list(other.points.ids)


def test_fewer_rows_than_asked_for_give_fewer_answers(words: VocabularyCollection) -> None:
    hits = ask(words, [[("w0", 1.0), ("w1", 1.0), ("w2000", -1.0)]], 10, limit=5)
    assert hits.counts.tolist() == [3]
    assert set(hits.points.ids) == {"w2", "w3", "w4"}


def test_no_questions_give_no_answers(words: VocabularyCollection) -> None:
    hits = analogies(words, np.empty((0, DIM), np.float32), [], 3)
    assert hits.counts.tolist() == []
    assert list(hits.points.ids) == []


@pytest.mark.parametrize(
    ("terms", "method"),
    [
        ([], AnalogyMethod.COS_ADD),
        ([(0, 0.0)], AnalogyMethod.COS_MUL),
        ([(3, 1.0)], AnalogyMethod.COS_ADD),
        ([(0, float("nan"))], AnalogyMethod.COS_ADD),
        ([(0, 1.0), (1, -1.0)], AnalogyMethod.PAIR_DIRECTION),
    ],
)
def test_a_question_that_does_not_fit_is_named(
    words: VocabularyCollection, terms: Terms, method: AnalogyMethod
) -> None:
    inputs = normalize_rows(MATRIX[:3])
    good: Terms = [(0, 1.0), (1, 1.0), (2, -1.0)]
    with pytest.raises(QueryError) as caught:
        analogies(words, inputs, [good, terms], 3, method)
    assert caught.value.field == "questions[1]"


def test_k_and_dimension_are_checked(words: VocabularyCollection) -> None:
    with pytest.raises(QueryError, match="at least 1"):
        analogies(words, normalize_rows(MATRIX[:1]), [[(0, 1.0)]], 0)
    with pytest.raises(QueryError, match="shape"):
        analogies(words, np.ones((1, 3), np.float32), [[(0, 1.0)]])
