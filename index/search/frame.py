"""Float32 scores of blocks of rows, measured from a centre, and what they say for certain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.search.bounds import Numbers, error_bound, longest_of, longest_row
from index.types import Metric

# rows whose mean is the centre; it is the origin unless it is so many times their spread away.
# Graphs by dot found 0.98 of the ten nearest with their middle once their spread away, 0.61 with
# it twice as far (20,500 normal rows of 16 numbers)
_SAMPLE, _FAR, _FAR_DOT = 32, 4.0, 1.0
# lengths whose squares keep their digits in float32
_SHORT, _LONG = 2.0**-40, 2.0**60


def index_centre(rows: FloatRows, metric: Metric) -> FloatRows | None:
    """As `centre_of`, for what is built once; None under cosine, whose lengths would change."""
    if metric.normalizes:
        return None
    return centre_of(rows, far=_FAR_DOT if metric is Metric.DOT else _FAR)


def centre_of(
    rows: FloatRows, positions: NDArray[np.integer] | None = None, far: float = _FAR
) -> FloatRows | None:
    """The middle, float32 (d,), of rows that lie far from the origin; None where they do not.

    It is the mean of a few rows, evenly chosen, of all or of those at `positions`. Scores are right
    with any centre; with one in the middle of the rows float32 keeps more of their digits.
    """
    count = len(rows) if positions is None else len(positions)
    if not count:
        return None
    chosen = np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.intp)
    sample = rows[chosen if positions is None else positions[chosen]].astype(np.float64)
    middle = sample.mean(axis=0)
    sample -= middle
    spread = np.vecdot(sample, sample).mean()
    if middle @ middle <= far**2 * spread:
        return None
    centre: FloatRows = middle.astype(np.float32)
    return centre


def beyond_float32(queries: FloatRows, metric: Metric) -> NDArray[np.bool_]:
    """Which queries (q, d) are so long, or under dot so short, that float32 scores of usual rows
    would overflow or vanish; bool (q,)."""
    if metric.normalizes:
        return np.zeros(len(queries), dtype=np.bool_)
    wide = queries.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide))
    beyond: NDArray[np.bool_] = lengths > _LONG
    if metric is Metric.DOT:
        beyond |= (lengths < _SHORT) & (lengths > 0)
    return beyond


def within_float32(rows: FloatRows, metric: Metric) -> bool:
    """Whether squares and products of these rows neither overflow nor vanish in float32."""
    return metric.normalizes or not len(rows) or _SHORT <= longest_row(rows) <= _LONG


def measured(rows: FloatRows, centre: FloatRows | None) -> FloatRows:
    """Rows float32 (n, d), contiguous, measured from a centre; None is the origin."""
    return np.ascontiguousarray(rows if centre is None else rows - centre, dtype=np.float32)


@dataclass(frozen=True)
class Frame:
    """Queries measured from a centre; `bounds` has the formulas.

    Args:
        centre: float32 (d,), c; None is the origin.
        wide: float64 (q, d), b.
        queries: float32 (q, d), b rounded.
        lengths: float64 (q,), |b|.
        shifts: float64 (q,), what a true score has beside the products.
        reach: |c| under dot, whose shifts are products with it.
    """

    metric: Metric
    centre: FloatRows | None
    wide: Numbers
    queries: FloatRows
    lengths: Numbers
    shifts: Numbers
    reach: float

    @classmethod
    def of(cls, queries: FloatRows, metric: Metric, centre: FloatRows | None) -> "Frame":
        """The queries float32 (q, d) measured from this centre."""
        wide = queries.astype(np.float64)
        middle = np.zeros(queries.shape[1]) if centre is None else centre.astype(np.float64)
        squares = metric is Metric.L2
        if squares:
            wide -= middle
        lengths = np.sqrt(np.vecdot(wide, wide))
        shifts = -(lengths**2) if squares else wide @ middle
        reach = 0.0 if squares else float(np.sqrt(middle @ middle))
        with np.errstate(over="ignore"):
            rounded = wide.astype(np.float32)
        return cls(metric, centre, wide, rounded, lengths, shifts, reach)

    @property
    def squares(self) -> bool:
        """Whether the metric is l2."""
        return self.metric is Metric.L2

    def score(self, block: FloatRows, out: NDArray[np.float32]) -> float:
        """Writes the scores of rows (b, d), less the shifts, to `out` (b, q).

        Returns a length that no row exceeds under l2, 0 under dot, where it costs more to know.
        Where it is not finite some scores are not either.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            block = self._measured(block)
            if not self.squares:
                np.matmul(block, self.queries.T, out=out)
                return 0.0
            squares = np.einsum("ij,ij->i", block, block)
            _score_squares(block, self.queries, squares, out)
            return longest_of(squares, block.shape[1])

    def errors(self, longest: float) -> Numbers:
        """How far scores of rows no longer than this may be from the true ones, float64 (q,)."""
        return error_bound(self.squares, self.wide.shape[1], longest, self.lengths, self.reach)

    def near(self, block: FloatRows, least: Numbers) -> NDArray[np.bool_]:
        """Which rows (b, d) may have a true score of at least `least` (q,), bool (b, q)."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows = self._measured(block)
            squares = np.einsum("ij,ij->i", rows, rows)
        longest = longest_of(squares, rows.shape[1])
        if not self._keeps_digits(longest):
            return self._near_scaled(block, least)
        out = np.empty((len(rows), len(least)), dtype=np.float32)
        _score(self.squares, rows, self.queries, squares, out)
        return out >= _rounded_down(least - self.shifts - self.errors(longest))

    def _near_scaled(self, block: FloatRows, least: Numbers) -> NDArray[np.bool_]:
        """As `near`, by rows and queries brought near to length 1 by powers of two."""
        rows = block.astype(np.float64)
        if self.centre is not None:
            rows -= self.centre
        largest, each = np.abs(rows).max(initial=0), np.abs(self.wide).max(axis=1, initial=0)
        if self.squares:
            scale = _power(np.max(each, initial=largest))
            scales = np.full(len(least), scale)
        else:
            scale, scales = _power(largest), _power(each)
        rows32 = (rows * scale).astype(np.float32)
        queries = (self.wide * scales[:, None]).astype(np.float32)
        squares = np.einsum("ij,ij->i", rows32, rows32)
        longest, dim = longest_of(squares, rows.shape[1]), rows.shape[1]
        errors = error_bound(
            self.squares, dim, longest, self.lengths * scales, float(self.reach * scale)
        )
        out = np.empty((len(rows), len(least)), dtype=np.float32)
        _score(self.squares, rows32, queries, squares, out)
        return out >= _rounded_down((least - self.shifts) * scale * scales - errors)

    def _keeps_digits(self, longest: float) -> bool:
        """Whether products of rows no longer than this neither overflow nor vanish."""
        lengths = self.lengths[self.lengths > 0]
        short = lengths.min(initial=1) < _SHORT and not self.squares
        return _SHORT <= longest <= _LONG and not short and lengths.max(initial=0) <= _LONG

    def _measured(self, block: FloatRows) -> FloatRows:
        return block if self.centre is None else block - self.centre


def _score(
    squares: bool,
    rows: FloatRows,
    queries: FloatRows,
    lengths: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    if squares:
        _score_squares(rows, queries, lengths, out)
    else:
        np.matmul(rows, queries.T, out=out)


def _score_squares(
    rows: FloatRows, queries: FloatRows, squares: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    np.matmul(rows, (2 * queries).T, out=out)
    out -= squares[:, None]


def _power(largest: Numbers) -> Numbers:
    """The power of two that brings these numbers into [0.5, 1); 1 for 0."""
    exponent = np.frexp(largest)[1]
    return np.where(largest > 0, np.ldexp(1.0, -exponent), 1.0)


def _rounded_down(numbers: Numbers) -> NDArray[np.float32]:
    """In float32, no greater than they are."""
    with np.errstate(over="ignore"):
        return np.nextafter(numbers.astype(np.float32), np.float32(-np.inf))
