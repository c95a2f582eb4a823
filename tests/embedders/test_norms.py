"""Lengths and unit rows of every finite float32 row, against float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows, row_norms
from tests.long import examples

LARGEST = float(np.finfo(np.float32).max)


def any_rows(seed: int, dim: int) -> FloatRows:
    """Rows of all sizes, each by itself; some numbers far larger than others, some rows zero."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((12, dim)) * 10.0 ** rng.integers(-45, 39, (12, 1))
    rows[:4] *= 10.0 ** rng.integers(-20, 20, (4, dim))
    rows[4, rng.integers(dim)] = LARGEST
    rows[5] = LARGEST
    rows[6] = 0
    return np.clip(rows, -LARGEST, LARGEST).astype(np.float32)


def lengths64(rows: FloatRows) -> NDArray[np.float64]:
    return np.array([np.sqrt(sum(float(number) ** 2 for number in row)) for row in rows])


@settings(max_examples=examples(200), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dim=st.sampled_from([1, 2, 5, 64]))
def test_every_finite_row_has_its_length_and_direction(seed: int, dim: int) -> None:
    rows = any_rows(seed, dim)
    lengths = lengths64(rows)
    np.testing.assert_allclose(row_norms(rows), lengths, rtol=1e-5)
    unit = normalize_rows(rows)
    assert unit.dtype == np.float32
    some = lengths > 0
    expected = np.zeros(rows.shape)
    expected[some] = rows[some].astype(np.float64) / lengths[some, None]
    np.testing.assert_allclose(unit, expected, rtol=1e-5, atol=1e-7)
    assert not unit[~some].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(bad: float) -> None:
    rows = np.ones((2, 3), np.float32)
    rows[1, 1] = bad
    assert not np.isfinite(row_norms(rows)[1])
    assert not np.isfinite(normalize_rows(rows)[1]).all()
    np.testing.assert_allclose(row_norms(rows)[0], np.sqrt(3), rtol=1e-6)
