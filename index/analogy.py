"""a is to b as c is to what: exact answers to batches of analogy questions.

Questions share their inputs, so the unique inputs are scored in one product a block of rows,
and a question combines their rows of scores: three passes over memory instead of a product.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray, normalize_rows
from index.analogy_methods import METHODS, AnalogyMethod, Scorer, Terms
from index.base import Collection
from index.errors import QueryError
from index.search.top import TopK, top
from index.types import Hits, Points

__all__ = ["AnalogyMethod", "Terms", "analogies"]

# questions scored at a time, and score tables of a block: both stay in cache
_CHUNK = 32
_TABLE_SCORES = 1 << 23
_MIN_ROWS, _MAX_ROWS = 256, 16_384


def analogies(
    collection: Collection,
    inputs: FloatRows,
    questions: Sequence[Terms],
    k: int = 10,
    method: AnalogyMethod = AnalogyMethod.COS_ADD,
    *,
    excluded: Sequence[Sequence[str]] = (),
    limit: int = 0,
    threads: int = 1,
) -> Hits:
    """The best k rows for each question, by cosine whatever the collection's metric.

    Args:
        inputs: float32 (u, d), the unique inputs of all questions, of unit length.
        questions: for each its terms (input, weight); negative weights push away.
        excluded: for each question the ids that are no answers; empty for none at all.
        limit: only the collection's first rows; 0 for all.

    Raises:
        QueryError: k, the dimension or a question's terms do not fit.
    """
    inputs = np.ascontiguousarray(inputs, dtype=np.float32)
    if k < 1:
        raise QueryError("k", f"k must be at least 1, not {k}")
    if inputs.ndim != 2 or inputs.shape[1] != collection.info.spec.dim:
        raise QueryError("inputs", f"inputs have shape {inputs.shape}")
    _check(questions, len(inputs))
    scorer = METHODS[method](inputs, questions)
    run: _Run | _Products = (
        _Run(scorer, k, len(questions), threads)
        if scorer.sums is None
        else _Products(scorer.sums, k)
    )
    barred = _Barred(collection, excluded)
    for slots, rows in _blocks(collection, limit, scorer.inputs):
        run.take(rows, slots, barred.among(slots))
    scores, slots = run.result()
    scores *= scorer.scale[:, None]
    ids = collection.ids_of(slots[slots >= 0])
    # a row may have gone since its block was read; its id is then ""
    found = slots >= 0
    found[found] = [point_id != "" for point_id in ids]
    points = Points([point_id for point_id in ids if point_id])
    return Hits(points, scores[found], np.count_nonzero(found, axis=1))


def _check(questions: Sequence[Terms], inputs: int) -> None:
    for number, terms in enumerate(questions):
        if not any(weight for _, weight in terms):
            raise QueryError(f"questions[{number}]", "a question needs a weight that is not 0")
        if not all(0 <= place < inputs and isfinite(weight) for place, weight in terms):
            raise QueryError(f"questions[{number}]", f"an input is not one of {inputs}")


def _blocks(
    collection: Collection, limit: int, inputs: int
) -> Iterator[tuple[IndexArray, FloatRows]]:
    size = _block_rows(inputs)
    scaled = collection.info.spec.metric.normalizes
    for slots, rows in collection.blocks(limit):
        for start in range(0, len(rows), size):
            part = np.asarray(rows[start : start + size])
            yield slots[start : start + size], part if scaled else normalize_rows(part)


def _block_rows(inputs: int) -> int:
    return min(max(_TABLE_SCORES // max(1, inputs), _MIN_ROWS), _MAX_ROWS)


class _Barred:
    """Slots that are no answers, by question."""

    def __init__(self, collection: Collection, excluded: Sequence[Sequence[str]]) -> None:
        ids = list(dict.fromkeys(point_id for each in excluded for point_id in each))
        slots = dict(zip(ids, collection.slots_of(ids).tolist(), strict=True))
        pairs = [(number, slots[name]) for number, each in enumerate(excluded) for name in each]
        table = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        self._questions, self._slots = table[:, 0], table[:, 1]

    def among(self, slots: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Questions, ascending, and columns of a block that they must not take."""
        place = np.minimum(np.searchsorted(slots, self._slots), len(slots) - 1)
        here = slots[place] == self._slots
        return self._questions[here], place[here]


class _Products:
    """Best answers so far, where each question is a product."""

    def __init__(self, sums: FloatRows, k: int) -> None:
        self._sums, self._best = sums, TopK(len(sums), k)
        self._buffer = np.empty((_block_rows(len(sums)), len(sums)), dtype=np.float32)

    def take(
        self, rows: FloatRows, slots: IndexArray, barred: tuple[IndexArray, IndexArray]
    ) -> None:
        """Scores a block for every question."""
        # the order of factors is that of `search_exact`
        scores = np.matmul(rows, self._sums.T, out=self._buffer[: len(rows)]).T
        scores[barred] = -np.inf
        self._best.offer(scores, slots)

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and slots (questions, k), descending; slot -1 where missing."""
        return self._best.scores, self._best.positions


class _Run:
    """Best answers so far, in chunks of questions that threads share out."""

    def __init__(self, scorer: Scorer, k: int, questions: int, threads: int) -> None:
        self._scorer = scorer
        starts = range(0, questions, _CHUNK)
        self._spans = [(start, min(start + _CHUNK, questions)) for start in starts]
        self._best = [top(last - first, k) for first, last in self._spans]
        self._threads = max(1, min(threads, len(self._spans)))
        self._buffers = [np.empty(0, dtype=np.float32) for _ in range(self._threads)]
        self._k = k

    def take(
        self, rows: FloatRows, slots: IndexArray, barred: tuple[IndexArray, IndexArray]
    ) -> None:
        """Scores a block for every question."""
        tables = self._scorer.tables(rows)

        def work(worker: int) -> None:
            self._work(worker, tables, slots, barred)

        _everywhere(work, self._threads)

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and slots (questions, k), descending; slot -1 where missing."""
        if not self._best:
            return np.empty((0, self._k), np.float32), np.empty((0, self._k), np.int64)
        return (
            np.concatenate([best.scores for best in self._best]),
            np.concatenate([best.positions for best in self._best]),
        )

    def _work(
        self,
        worker: int,
        tables: tuple[FloatRows, ...],
        slots: IndexArray,
        barred: tuple[IndexArray, IndexArray],
    ) -> None:
        width = len(slots)
        if self._buffers[worker].size < 2 * _CHUNK * width:
            self._buffers[worker] = np.empty(2 * _CHUNK * width, dtype=np.float32)
        both = self._buffers[worker][: 2 * _CHUNK * width].reshape(2, _CHUNK, width)
        questions, columns = barred
        for number in range(worker, len(self._spans), self._threads):
            first, last = self._spans[number]
            scores, spare = both[0, : last - first], both[1, : last - first]
            self._scorer.score(tables, slice(first, last), scores, spare)
            begin, end = np.searchsorted(questions, (first, last))
            scores[questions[begin:end] - first, columns[begin:end]] = -np.inf
            self._best[number].offer(scores, slots)


def _everywhere(work: Callable[[int], None], threads: int) -> None:
    if threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
