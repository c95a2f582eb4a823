"""Ways to score an analogy from the cosines of its inputs with every row."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, row_norms
from index.errors import QueryError

#: (number of the input, its weight), positives first
Terms = Sequence[tuple[int, float]]
Tables = tuple[FloatRows, ...]

_MUL_EPSILON = 1e-6
_LEAST_SQUARE = 1e-12


class AnalogyMethod(StrEnum):
    """How an analogy is scored. All vectors have unit length."""

    COS_ADD = "3CosAdd"
    COS_MUL = "3CosMul"
    PAIR_DIRECTION = "PairDirection"


class Scorer(ABC):
    """Scores of all questions against a block of rows.

    Args:
        inputs: rows of the score tables.
        scale: float32 (questions,), what final scores are multiplied by; positive.
    """

    inputs: int
    scale: NDArray[np.float32]
    #: a vector a question whose products with the rows are the scores, where that is less work
    sums: FloatRows | None = None

    @abstractmethod
    def tables(self, rows: FloatRows) -> Tables:
        """What questions combine, each (inputs + 1, b), for unit rows (b, d)."""

    @abstractmethod
    def score(self, tables: Tables, chosen: slice, out: FloatRows, spare: FloatRows) -> None:
        """Writes the scores of the chosen questions to `out` (c, b); `spare` is as large."""


class CosAdd(Scorer):
    """cos(x, sum of w_i x_i) (Mikolov, Yih and Zweig, 2013)."""

    def __init__(self, inputs: FloatRows, questions: Sequence[Terms]) -> None:
        numbers, weights = _padded([_scaled(terms) for terms in questions], len(inputs))
        sums = np.zeros((len(questions), inputs.shape[1]), dtype=np.float32)
        extended = np.concatenate([inputs, np.zeros_like(inputs[:1])])
        for term in range(numbers.shape[1]):
            sums += weights[:, term, None] * extended[numbers[:, term]]
        norms = row_norms(sums)
        self.scale = np.where(norms > 0, 1 / np.where(norms > 0, norms, 1), 0).astype(np.float32)
        # with few shared inputs a product a question is less work than rows to combine
        if 0 < len(questions) <= 2 * len(inputs):
            self.sums = sums
        self._vectors, self.inputs = inputs, len(inputs if self.sums is None else sums)
        self._numbers, self._weights = numbers, weights

    def tables(self, rows: FloatRows) -> Tables:
        """Cosines with the inputs, and a row of zeros."""
        return (_cosines(self._vectors, rows, 0),)

    def score(self, tables: Tables, chosen: slice, out: FloatRows, spare: FloatRows) -> None:
        """See `Scorer`."""
        numbers, weights = self._numbers[chosen], self._weights[chosen]
        for term in range(numbers.shape[1]):
            target = spare if term else out
            np.take(tables[0], numbers[:, term], axis=0, out=target, mode="clip")
            if term and (weights[:, term] == -1).all():
                out -= spare
                continue
            if not (weights[:, term] == 1).all():
                target *= weights[:, term, None]
            if term:
                out += spare


class CosMul(Scorer):
    """Product of (1 + cos(x, b)) / 2 over positives b, over that of negatives plus 1e-6.

    Levy and Goldberg, 2014, equation 4. Weights other than 1 are exponents.
    """

    def __init__(self, inputs: FloatRows, questions: Sequence[Terms]) -> None:
        self._vectors, self.inputs = inputs, len(inputs)
        self._positive = _padded([_signed(terms, 1) for terms in questions], len(inputs))
        self._negative = _padded([_signed(terms, -1) for terms in questions], len(inputs))
        self.scale = np.ones(len(questions), dtype=np.float32)

    def tables(self, rows: FloatRows) -> Tables:
        """Cosines shifted to [0, 1], and a row of ones."""
        shifted = _cosines(self._vectors, rows, 1)
        shifted += 1
        shifted /= 2
        return (np.maximum(shifted, 0, out=shifted),)

    def score(self, tables: Tables, chosen: slice, out: FloatRows, spare: FloatRows) -> None:
        """See `Scorer`."""
        numbers, weights = self._negative[0][chosen], self._negative[1][chosen]
        divisor = np.ones_like(out) if numbers.shape[1] > 1 else out
        divisor[:] = 1
        self._multiply(tables[0], numbers, weights, divisor, spare)
        divisor += np.float32(_MUL_EPSILON)
        np.reciprocal(divisor, out=out)
        self._multiply(tables[0], self._positive[0][chosen], self._positive[1][chosen], out, spare)

    @staticmethod
    def _multiply(
        table: FloatRows,
        numbers: NDArray[np.intp],
        weights: NDArray[np.float32],
        out: FloatRows,
        spare: FloatRows,
    ) -> None:
        for term in range(numbers.shape[1]):
            np.take(table, numbers[:, term], axis=0, out=spare, mode="clip")
            powers = weights[:, term]
            if not np.isin(powers, (0, 1)).all():
                np.power(spare, powers[:, None], out=spare)
            out *= spare


class PairDirection(Scorer):
    """cos(b - a, x - c) for positives b and c, in this order, and one negative a.

    Levy and Goldberg, 2014, equation 2. The row equal to c scores 0.
    """

    def __init__(self, inputs: FloatRows, questions: Sequence[Terms]) -> None:
        for number, terms in enumerate(questions):
            if [weight > 0 for _, weight in terms] != [True, True, False]:
                raise QueryError(
                    f"questions[{number}]",
                    "PairDirection takes two positives, b then c, and one negative, a",
                )
        roles = _padded(questions, len(inputs))[0].reshape(-1, 3)
        self._b, self._c, self._a = roles.T
        self._vectors, self.inputs = inputs, len(inputs)
        directions = inputs[self._b] - inputs[self._a]
        self._offsets = np.einsum("ij,ij->i", directions, inputs[self._c])
        lengths = row_norms(directions)
        self.scale = np.where(lengths > 0, 1 / np.where(lengths > 0, lengths, 1), 0).astype(
            np.float32
        )

    def tables(self, rows: FloatRows) -> Tables:
        """Cosines, and one over the distance between row and input."""
        cosines = _cosines(self._vectors, rows, 0)
        squares = 2 - 2 * cosines
        near = squares < _LEAST_SQUARE
        squares[near] = 1
        return cosines, np.where(near, 0, 1 / np.sqrt(squares)).astype(np.float32)

    def score(self, tables: Tables, chosen: slice, out: FloatRows, spare: FloatRows) -> None:
        """See `Scorer`."""
        cosines, closeness = tables
        np.take(cosines, self._b[chosen], axis=0, out=out, mode="clip")
        np.take(cosines, self._a[chosen], axis=0, out=spare, mode="clip")
        out -= spare
        out -= self._offsets[chosen, None]
        np.take(closeness, self._c[chosen], axis=0, out=spare, mode="clip")
        out *= spare


METHODS: Mapping[AnalogyMethod, type[CosAdd] | type[CosMul] | type[PairDirection]] = {
    AnalogyMethod.COS_ADD: CosAdd,
    AnalogyMethod.COS_MUL: CosMul,
    AnalogyMethod.PAIR_DIRECTION: PairDirection,
}


def _cosines(inputs: FloatRows, rows: FloatRows, neutral: float) -> FloatRows:
    table = np.empty((len(inputs) + 1, len(rows)), dtype=np.float32)
    np.matmul(inputs, rows.T, out=table[:-1])
    table[-1] = neutral
    return table


def _scaled(terms: Terms) -> list[tuple[int, float]]:
    """Terms with a largest weight of 1: a sum of the same direction, within float32."""
    largest = max((abs(weight) for _, weight in terms), default=0.0) or 1.0
    return [(number, weight / largest) for number, weight in terms]


def _signed(terms: Terms, sign: int) -> list[tuple[int, float]]:
    return [(number, abs(weight)) for number, weight in terms if weight * sign > 0]


def _padded(
    questions: Sequence[Terms], inputs: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Inputs and weights (questions, most terms); padding names the neutral row."""
    most = max((len(terms) for terms in questions), default=0)
    pad = (inputs, 0.0)
    flat = [pair for terms in questions for pair in (*terms, *[pad] * (most - len(terms)))]
    numbers = np.array([number for number, _ in flat], dtype=np.intp)
    weights = np.array([weight for _, weight in flat], dtype=np.float32)
    shape = (len(questions), most)
    return numbers.reshape(shape), weights.reshape(shape)
