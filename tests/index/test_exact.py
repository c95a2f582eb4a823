"""Exact search against a full sort in float64."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.search import exact
from index.search.candidates import rescore
from index.search.exact import search_exact
from index.search.top import TopK, TopOne
from index.types import Metric


def small_integers(seed: int, count: int, dim: int) -> FloatRows:
    """Rows whose products are whole numbers, so that ties are exact."""
    return np.random.default_rng(seed).integers(-3, 4, (count, dim)).astype(np.float32)


def naive(
    rows: FloatRows, queries: FloatRows, k: int, metric: Metric, allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    wide, asked = rows.astype(np.float64), queries.astype(np.float64)
    if metric is Metric.L2:
        scores = -((asked[:, None, :] - wide[None, :, :]) ** 2).sum(axis=2)
    else:
        scores = asked @ wide.T
    scores[:, ~allowed] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    order = np.where(np.isinf(best), -1, order)
    missing = ((0, 0), (0, k - order.shape[1]))
    return np.pad(best, missing, constant_values=-np.inf), np.pad(
        order, missing, constant_values=-1
    )


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 90),
    queries=st.integers(1, 6),
    dim=st.integers(1, 7),
    k=st.integers(1, 25),
    metric=st.sampled_from(list(Metric)),
    share=st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]),
    as_positions=st.booleans(),
)
def test_agrees_with_a_full_sort_ties_included(
    seed: int,
    count: int,
    queries: int,
    dim: int,
    k: int,
    metric: Metric,
    share: float | None,
    as_positions: bool,
) -> None:
    rows, asked = small_integers(seed, count, dim), small_integers(seed + 1, queries, dim)
    allowed = np.ones(count, dtype=np.bool_)
    if share is not None:
        allowed = np.random.default_rng(seed).random(count) < share
    if share is None:
        scores, positions = search_exact(rows, asked, k, metric)
    elif as_positions:
        scores, positions = search_exact(rows, asked, k, metric, positions=np.flatnonzero(allowed))
    else:
        scores, positions = search_exact(rows, asked, k, metric, mask=allowed)
    expected_scores, expected = naive(rows, asked, k, metric, allowed)
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(positions, expected)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("share", [1.0, 0.6, 0.4, 0.02])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_many_blocks(metric: Metric, share: float, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_BLOCK_SCORES", 1 << 14)
    monkeypatch.setattr(exact, "_COPIED", 1 << 12)
    rows, asked = small_integers(1, 9000, 12), small_integers(2, 16, 12)
    allowed = np.random.default_rng(3).random(9000) < share
    scores, positions = search_exact(rows, asked, k, metric, mask=allowed)
    expected_scores, expected = naive(rows, asked, k, metric, allowed)
    np.testing.assert_array_equal(scores, expected_scores.astype(np.float32))
    np.testing.assert_array_equal(positions, expected)


def test_rows_in_ascending_order_of_score_replace_all_before_them() -> None:
    rows = np.arange(5000, dtype=np.float32)[:, None]
    scores, positions = search_exact(rows, np.ones((3, 1), np.float32), 7, Metric.DOT)
    np.testing.assert_array_equal(positions, np.tile(np.arange(4999, 4992, -1), (3, 1)))
    np.testing.assert_array_equal(scores, positions)


@pytest.mark.parametrize("count", [6000, 40_000])
def test_equal_rows_are_ordered_by_position(count: int) -> None:
    rows = np.ones((count, 4), np.float32)
    _, positions = search_exact(rows, np.ones((2, 4), np.float32), 5, Metric.DOT)
    np.testing.assert_array_equal(positions, np.tile(np.arange(5), (2, 1)))


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("k", [1, 10, 40])
def test_few_scores_above_a_plateau(queries: int, k: int) -> None:
    rng = np.random.default_rng(6)
    rows = np.zeros((70_000, 6), np.float32)
    some = rng.choice(len(rows), 25, replace=False)
    rows[some] = rng.integers(-2, 3, (25, 6))
    asked = small_integers(7, queries, 6)
    scores, positions = search_exact(rows, asked, k, Metric.DOT)
    expected_scores, expected = naive(rows, asked, k, Metric.DOT, np.ones(len(rows), np.bool_))
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(scores, expected_scores.astype(np.float32))


def test_l2_of_rows_far_from_the_origin_keeps_its_digits() -> None:
    rng = np.random.default_rng(5)
    rows = (1000 + rng.standard_normal((3000, 16))).astype(np.float32)
    scores, positions = search_exact(rows, rows[:20], 1, Metric.L2)
    np.testing.assert_array_equal(positions[:, 0], np.arange(20))
    np.testing.assert_array_equal(scores, np.zeros((20, 1), np.float32))


def test_rows_may_be_memory_mapped(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.f32"
    rows = small_integers(8, 500, 6)
    rows.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=rows.shape)
    for metric in Metric:
        plain = search_exact(rows, rows[:5], 4, metric)
        from_file = search_exact(mapped, rows[:5], 4, metric)
        np.testing.assert_array_equal(plain[1], from_file[1])


def test_rescore_orders_candidates_and_passes_over_missing_ones() -> None:
    rows = small_integers(9, 50, 5)
    candidates = np.array([[4, 7, -1, 30, 2], [-1, -1, -1, -1, 9]])
    for metric in Metric:
        scores, positions = rescore(rows, rows[:2], candidates, 4, metric)
        allowed = np.zeros(50, dtype=np.bool_)
        allowed[[4, 7, 30, 2]] = True
        expected_scores, expected = naive(rows, rows[:1], 4, metric, allowed)
        np.testing.assert_array_equal(positions[0], expected[0])
        np.testing.assert_array_equal(scores[0], expected_scores[0].astype(np.float32))
        np.testing.assert_array_equal(positions[1], [9, -1, -1, -1])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("width", [37, 1500])
@pytest.mark.parametrize("k", [1, 4])
def test_running_top_by_blocks_of_named_positions(
    k: int, width: int, order: Literal["C", "F"]
) -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 30, (5, 4000)).astype(np.float32)
    names = np.sort(rng.choice(100_000, 4000, replace=False))
    collectors: list[TopK | TopOne] = [TopK(5, k)]
    if k == 1:
        collectors.append(TopOne(5))
    for best in collectors:
        for start in range(0, 4000, width):
            block = np.array(scores[:, start : start + width], order=order)
            best.offer(block, names[start : start + width])
        chosen = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(best.positions, names[chosen])
        np.testing.assert_array_equal(best.scores, np.take_along_axis(scores, chosen, axis=1))
