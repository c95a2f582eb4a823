"""Every float32 vector that a collection accepts is compared rightly: far from the origin, huge,
tiny, equal. The yardstick is a full sort in float64 that shares no arithmetic with the service."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.base import SearchRequest
from index.engine import FaissEngine
from index.errors import RecipeError
from index.recipes import TABLE, recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.exact import search_exact
from index.types import (
    CollectionSpec,
    Hits,
    IndexParameters,
    Metric,
    Points,
    SearchParameters,
)
from tests.long import examples

LARGEST = float(np.finfo(np.float32).max)
FAR = float(2**19)
FACTORY = ["factory:IVF64,SQ8", "factory:PCA8,IVF32,Flat", "factory:IVF64,SQ8,RFlat"]


def true_scores(rows: FloatRows, queries: FloatRows, metric: Metric) -> NDArray[np.float64]:
    """Scores (q, n) in float64, row by row."""
    wide, asked = rows.astype(np.float64), queries.astype(np.float64)
    scores = np.empty((len(asked), len(wide)))
    for number, query in enumerate(asked):
        if metric is Metric.L2:
            scores[number] = -((wide - query) ** 2).sum(axis=1)
        else:
            scores[number] = (wide * query).sum(axis=1)
    if metric is Metric.COSINE:
        scores /= np.sqrt((asked**2).sum(axis=1))[:, None] * np.sqrt((wide**2).sum(axis=1))
    return scores


def made_rows(
    seed: int, count: int, dim: int, offset: float, power: int, kind: str
) -> tuple[FloatRows, FloatRows]:
    """Rows and five queries, some of them rows, none of them zero."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dim))
    if kind == "equal":
        rows = rows[rng.integers(0, max(1, count // 8), count)]
    elif kind == "mixed":
        rows *= 10.0 ** rng.integers(-15, 15, (count, 1))
    elif kind == "dominant":
        rows[:, 0] += 1e9
    rows = (rows + offset * rng.choice([-1, 1], dim)) * 10.0**power
    queries = rows[rng.integers(0, count, 5)]
    queries[2:] += rng.standard_normal((3, dim)) * 10.0**power
    made = [np.clip(part, -LARGEST, LARGEST).astype(np.float32) for part in (rows, queries)]
    for part in made:
        part[~part.any(axis=1)] = np.float32(1e-40)
    return made[0], made[1]


cases = {
    "seed": st.integers(0, 2**32 - 1),
    "dim": st.sampled_from([1, 2, 3, 17, 96]),
    "offset": st.sampled_from([0.0, 1.0, 1e3, 1e5, 1e7]),
    "power": st.one_of(st.just(0), st.integers(-42, 37)),
    "kind": st.sampled_from(["plain", "equal", "mixed", "dominant"]),
    "k": st.sampled_from([1, 4, 40]),
}


@settings(max_examples=examples(150), deadline=None)
@given(
    **cases,
    count=st.sampled_from([1, 30, 400, 2500]),
    metric=st.sampled_from([Metric.L2, Metric.DOT]),
    share=st.sampled_from([1.0, 0.6, 0.1]),
    as_positions=st.booleans(),
)
def test_exact_search_is_a_full_sort_in_float64(
    seed: int,
    dim: int,
    offset: float,
    power: int,
    kind: str,
    k: int,
    count: int,
    metric: Metric,
    share: float,
    as_positions: bool,
) -> None:
    rows, queries = made_rows(seed, count, dim, offset, power, kind)
    allowed = np.random.default_rng(seed).random(count) < share
    if as_positions:
        found, places = search_exact(rows, queries, k, metric, positions=np.flatnonzero(allowed))
    else:
        found, places = search_exact(rows, queries, k, metric, mask=allowed)
    scores = true_scores(rows, queries, metric)
    scores[:, ~allowed] = -np.inf
    depth = min(k, int(allowed.sum()))
    assert (places[:, depth:] == -1).all()
    assert all(len(set(line)) == depth for line in places[:, :depth].tolist())
    best = -np.sort(-scores, axis=1)[:, :depth]
    # float64 sums in another order differ by so much
    sizes = np.abs(best)
    if metric is Metric.DOT:
        lengths = [np.sqrt((part.astype(np.float64) ** 2).sum(axis=1)) for part in (queries, rows)]
        sizes = lengths[0][:, None] * lengths[1].max() * np.ones_like(best)
    assert (np.abs(np.take_along_axis(scores, places[:, :depth], 1) - best) <= 1e-13 * sizes).all()
    assert (np.abs(found[:, :depth] - best) <= 1e-13 * sizes).all()


@settings(max_examples=examples(25), deadline=None)
@given(**cases, metric=st.sampled_from(list(Metric)), recipe_name=st.sampled_from(sorted(TABLE)))
def test_collections_answer_as_a_full_sort_does(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    dim: int,
    offset: float,
    power: int,
    kind: str,
    k: int,
    metric: Metric,
    recipe_name: str,
) -> None:
    """Growing and sealed, by every recipe with exact search, and reopened."""
    rows, queries = made_rows(seed, 2300, dim, offset, power, kind)
    ids = [str(number) for number in range(len(rows))]
    folder = tmp_path_factory.mktemp("extremes")
    request = SearchRequest(queries, k, params=SearchParameters(exact=True))
    engine = FaissEngine(folder, threads=1)
    try:
        collection = engine.create("c", CollectionSpec(dim, metric, recipe_name))
        assert not collection.upsert(Points(ids, rows)).rejected
        check_hits(collection.search(request), rows, queries, k, metric)
        collection.optimize()
        check_hits(collection.search(request), rows, queries, k, metric)
        usual = collection.search(SearchRequest(queries, k))
        assert np.isfinite(usual.scores).all()
        assert usual.counts.tolist() == [k] * len(queries)
    finally:
        engine.close()
    engine = FaissEngine(folder, threads=1)
    try:
        check_hits(engine.get("c").search(request), rows, queries, k, metric)
    finally:
        engine.close()


def check_hits(hits: Hits, rows: FloatRows, queries: FloatRows, k: int, metric: Metric) -> None:
    """Hits are the best k by the true scores; what rounds to one float32 score is a tie."""
    scores = true_scores(rows, queries, metric)
    places = np.array(hits.points.ids, dtype=int).reshape(len(queries), k)
    assert all(len(set(line)) == k for line in places.tolist())
    best = -np.sort(-scores, axis=1)[:, :k]
    reached = np.take_along_axis(scores, places, axis=1)
    # rows are kept as unit vectors in float32
    near = (
        1e-6
        if metric is Metric.COSINE
        else 2.0**-23 * np.abs(best) + 1e-13 * scores_size(rows, queries, metric)
    )
    assert (np.abs(reached - best) <= near).all()
    limited = np.clip(best, -LARGEST, LARGEST)
    assert (np.abs(hits.scores.reshape(best.shape) - limited) <= near + 2.0**-149).all()


def scores_size(rows: FloatRows, queries: FloatRows, metric: Metric) -> NDArray[np.float64]:
    """What sums in float64 are exact in proportion to, (q, 1)."""
    if metric is not Metric.DOT:
        return np.zeros((len(queries), 1))
    lengths = [np.sqrt((part.astype(np.float64) ** 2).sum(axis=1)) for part in (queries, rows)]
    product: NDArray[np.float64] = lengths[0][:, None] * lengths[1].max()
    return product


def shifted(offset: float, metric: Metric) -> tuple[FloatRows, FloatRows]:
    """Rows and queries whose order does not change when they are moved by up to 2^20: l2 moves
    the queries too, products with the offset are the same for all rows."""
    rng = np.random.default_rng(0)
    rows = np.round(rng.standard_normal((20_500, 16)) * 64) / 8
    queries = rows[:50] + np.round(rng.standard_normal((50, 16)) * 4) / 8
    queries = queries + offset if metric is Metric.L2 else queries
    return (rows + offset).astype(np.float32), queries.astype(np.float32)


def built(
    name: str, offset: float, folder: Path, metric: Metric = Metric.L2
) -> tuple[SegmentIndex, FloatRows]:
    """An index of `shifted` rows, saved and read again."""
    rows, _ = shifted(offset, metric)
    made = recipe(name).build(rows, metric, IndexParameters(), BuildContext(1))
    made.save(folder / "index")
    return recipe(name).load(folder / "index", rows, metric), rows


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize("name", [*sorted(TABLE), *FACTORY])
def test_recipes_find_as_much_far_from_the_origin(
    name: str, metric: Metric, tmp_path: Path
) -> None:
    recalls = []
    for offset in (0.0, FAR):
        index, rows = built(name, offset, tmp_path, metric)
        queries = shifted(offset, metric)[1]
        scores = true_scores(rows, queries, metric)
        places = index.search(queries, 10, SearchParameters())[1]
        tenth = -np.sort(-scores, axis=1)[:, 9:10]
        recalls.append(float((np.take_along_axis(scores, places, axis=1) >= tenth).mean()))
        if index.lists is not None and metric is Metric.L2:
            nearest = index.lists.nearness(queries).argmax(axis=1)
            assert (nearest == index.lists.labels[scores.argmax(axis=1)]).mean() > 0.85
    # under dot the sample that finds the middle moves the lists a little
    assert recalls[1] >= recalls[0] - (0.01 if metric is Metric.L2 else 0.05)


def test_an_index_that_measured_far_rows_from_the_origin_is_refused(tmp_path: Path) -> None:
    index, rows = built("ivf", 0.0, tmp_path)
    far = rows + np.float32(FAR)
    with pytest.raises(RecipeError, match="from the origin"):
        recipe("ivf").load(tmp_path / "index", far, Metric.L2)
    assert recipe("ivf").load(tmp_path / "index", rows, Metric.L2).rows == index.rows
