"""Plans against exact search: filters of every size, random and going with the vectors."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows
from index.columns.selection import Selection
from index.recipes import recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search import plan
from index.search.exact import search_exact
from index.search.plan import Segment, search_segment, share
from index.types import IndexParameters, Metric, SearchParameters

ROWS, DIM, K = 20_000, 32, 10
QUERIES = 40
RECIPES = ["exact", "hnsw", "ivf", "ivf_pq", "rabitq", "factory:PQ16x4fs"]


def data() -> tuple[FloatRows, FloatRows]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((300, DIM))
    near = centers[rng.integers(0, 300, ROWS + QUERIES)]
    rows = normalize_rows((near + 0.7 * rng.standard_normal(near.shape)).astype(np.float32))
    return rows[:ROWS], rows[ROWS:]


DATA, ASKED = data()
EVERYTHING = SearchParameters()


@pytest.fixture(scope="module")
def built() -> dict[str, SegmentIndex]:
    return {}


@pytest.fixture
def index(name: str, built: dict[str, SegmentIndex]) -> SegmentIndex:
    if name not in built:
        rows = DATA
        built[name] = recipe(name).build(rows, Metric.COSINE, IndexParameters(), BuildContext(2))
    return built[name]


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    pairs = zip(found, truth, strict=True)
    if (truth < 0).all():
        return 1.0
    shared = [len(set(a.tolist()) & set(b[b >= 0].tolist())) for a, b in pairs]
    return sum(shared) / int((truth >= 0).sum())


def chance(count: int) -> NDArray[np.bool_]:
    mask = np.zeros(ROWS, dtype=np.bool_)
    mask[np.random.default_rng(1).permutation(ROWS)[:count]] = True
    return mask


def cell(count: int) -> NDArray[np.bool_]:
    """The rows nearest to one point: most queries lie outside."""
    mask = np.zeros(ROWS, dtype=np.bool_)
    mask[np.argsort(-(DATA @ DATA[5]))[:count]] = True
    return mask


def search(
    index: SegmentIndex | None, mask: NDArray[np.bool_] | None, queries: FloatRows
) -> tuple[NDArray[np.float32], NDArray[np.int64], str]:
    chosen = None if mask is None else Selection.of(ROWS, np.flatnonzero(mask))
    segment = Segment(4, DATA, index, chosen)
    scores, positions, made = search_segment(segment, ROWS, queries, K, Metric.COSINE, EVERYTHING)
    assert made.segment == 4
    assert made.candidates == (ROWS if mask is None else int(mask.sum()))
    assert made.search_ns > 0
    return scores, positions, made.method


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", [chance, cell])
@pytest.mark.parametrize("count", [0, 3, 2500, 8000, 18_000])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("never_exact", [False, True])
def test_filtered_search_finds_what_exact_search_finds(
    name: str,
    index: SegmentIndex,
    kind: Callable[[int], NDArray[np.bool_]],
    count: int,
    single: bool,
    never_exact: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if never_exact:
        monkeypatch.setattr(plan, "exact_is_cheaper", lambda count, queries, dim: False)
    mask = kind(count)
    asked = ASKED[:15] if single else ASKED
    if single:
        parts = [search(index, mask, asked[place : place + 1]) for place in range(len(asked))]
        scores = np.concatenate([part[0] for part in parts])
        positions = np.concatenate([part[1] for part in parts])
    else:
        scores, positions, _ = search(index, mask, asked)
    truth_scores, truth = search_exact(DATA, asked, K, Metric.COSINE, mask=mask)
    found = positions >= 0
    assert mask[positions[found]].all()
    assert np.isneginf(scores[~found]).all()
    assert (found.sum(axis=1) == min(K, count)).all()
    assert recall(positions, truth) >= 0.95
    for row in positions:
        assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()
    same = (positions == truth) & found
    np.testing.assert_allclose(scores[same], truth_scores[same], atol=2e-2)
    assert (np.diff(np.where(found, scores, -9), axis=1) <= 0).all()


@pytest.mark.parametrize(
    ("name", "kind", "count", "method"),
    [
        ("hnsw", chance, 20, "exact"),
        ("hnsw", chance, 18_000, "graph"),
        ("hnsw", cell, 15_000, "walk"),
        ("ivf", cell, 15_000, "lists"),
        ("exact", chance, 18_000, "exact"),
    ],
)
def test_the_method_goes_by_the_filter_and_the_index(
    name: str,
    index: SegmentIndex,
    kind: Callable[[int], NDArray[np.bool_]],
    count: int,
    method: str,
) -> None:
    outside = int(np.argmin(ASKED @ DATA[5]))
    assert search(index, kind(count), ASKED[outside : outside + 1])[2] == method


def test_lists_are_scanned_where_an_index_cannot_filter() -> None:
    index = recipe("factory:SQ8").build(DATA, Metric.COSINE, IndexParameters(), BuildContext(2))
    index.filters = False
    for mask in (chance(18_000), cell(15_000)):
        for queries in (ASKED, ASKED[:1]):
            _, positions, method = search(index, mask, queries)
            truth = search_exact(DATA, queries, K, Metric.COSINE, mask=mask)[1]
            assert recall(positions, truth) >= 0.95
    assert method == "scan"


@pytest.mark.parametrize("name", ["hnsw"])
def test_no_filter_asks_the_index(name: str, index: SegmentIndex) -> None:
    for mask in (None, np.ones(ROWS, dtype=np.bool_)):
        _, positions, method = search(index, mask, ASKED)
        assert method == "graph"
        np.testing.assert_array_equal(positions, index.search(ASKED, K, EVERYTHING)[1])


@pytest.mark.parametrize("name", ["hnsw"])
def test_exact_where_it_is_asked_for_or_there_is_no_index(name: str, index: SegmentIndex) -> None:
    truth = search_exact(DATA, ASKED, K, Metric.COSINE)[1]
    for given, params in ((None, EVERYTHING), (index, SearchParameters(exact=True))):
        _, positions, made = search_segment(
            Segment(0, DATA, given), ROWS, ASKED, K, Metric.COSINE, params
        )
        assert made.method == "exact"
        np.testing.assert_array_equal(positions, truth)


@pytest.mark.parametrize("name", ["hnsw"])
def test_an_empty_selection_finds_nothing(name: str, index: SegmentIndex) -> None:
    scores, positions, _ = search(index, chance(0), ASKED)
    assert (positions == -1).all()
    assert np.isneginf(scores).all()


@pytest.mark.parametrize("name", ["hnsw"])
@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
def test_other_metrics(name: str, metric: Metric) -> None:
    rows = DATA * np.random.default_rng(3).uniform(0.8, 1.2, (ROWS, 1)).astype(np.float32)
    index = recipe(name).build(rows, metric, IndexParameters(m=16), BuildContext(2))
    for mask in (cell(8000), chance(8000), chance(1500)):
        chosen = Selection.of(ROWS, np.flatnonzero(mask))
        segment = Segment(0, rows, index, chosen)
        for queries in (ASKED, ASKED[:1]):
            found = search_segment(segment, ROWS, queries, K, metric, EVERYTHING)
            truth = search_exact(rows, queries, K, metric, mask=mask)
            assert recall(found[1], truth[1]) >= 0.95
            same = found[1] == truth[1]
            np.testing.assert_allclose(found[0][same], truth[0][same], atol=1e-4)


@pytest.mark.parametrize("name", ["hnsw"])
def test_effort_is_for_the_whole_collection(name: str, index: SegmentIndex) -> None:
    segment = Segment(0, DATA, index)
    whole = SearchParameters(ef=128, nprobe=16, rerank=100)
    assert share(segment, ROWS, K, whole) == whole
    quarter = share(segment, 16 * ROWS, K, whole)
    assert quarter == SearchParameters(ef=32, nprobe=4, rerank=25)
    small = share(segment, 10_000 * ROWS, K, whole)
    assert small == SearchParameters(ef=K, nprobe=1, rerank=K)
    assert share(segment, ROWS, K, SearchParameters()).ef == 128


@pytest.mark.parametrize("name", ["ivf_pq"])
def test_own_probes_are_a_share_of_own_lists(name: str, index: SegmentIndex) -> None:
    segment = Segment(0, DATA, index)
    alone, among = (share(segment, total, K, SearchParameters()) for total in (ROWS, 100 * ROWS))
    assert alone.nprobe == among.nprobe == index.default_search.nprobe
    assert alone.rerank == index.default_search.rerank
    assert among.rerank == index.default_search.rerank / 10


def test_what_was_measured_is_the_least_where_nothing_is_named() -> None:
    index = recipe("ivf_pq").build(DATA, Metric.COSINE, IndexParameters(), BuildContext(2))
    default = index.default_search
    least = SearchParameters(nprobe=default.nprobe + 5, rerank=40)
    segment = Segment(0, DATA, index, least=least)

    def effort(total: int, params: SearchParameters) -> tuple[int, int]:
        part = share(segment, total, K, params)
        return part.nprobe, part.rerank

    assert effort(ROWS, EVERYTHING) == (least.nprobe, default.rerank)
    assert effort(10_000 * ROWS, EVERYTHING) == (least.nprobe, 40)
    named = SearchParameters(nprobe=3, rerank=20)
    assert effort(ROWS, named) == (3, 20)
    assert effort(4 * ROWS, named) == (2, K)
    assert share(segment, ROWS, K, SearchParameters(exact=True)).exact


def test_exact_search_is_for_few_rows_or_many_queries() -> None:
    assert plan.exact_is_cheaper(1000, 1, 384)
    assert not plan.exact_is_cheaper(20_000, 1, 384)
    assert plan.exact_is_cheaper(20_000, 256, 384)
    assert not plan.exact_is_cheaper(450_000, 256, 384)
