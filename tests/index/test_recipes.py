"""Every recipe against exact search: recall, masks, files, concurrency."""

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows
from index.errors import RecipeError, SpecError
from index.recipes import TABLE, concrete, recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.exact import search_exact
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

ROWS, DIM, K = 4000, 32, 10
FACTORY = ["factory:HNSW16", "factory:PCA24,IVF32,SQ8", "factory:IVF32,SQ8,RFlat"]
NAMES = [*sorted(TABLE), *FACTORY]


def data(metric: Metric) -> tuple[FloatRows, FloatRows]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((80, DIM))
    rows = centers[rng.integers(0, 80, ROWS)] + 0.5 * rng.standard_normal((ROWS, DIM))
    queries = centers[rng.integers(0, 80, 60)] + 0.5 * rng.standard_normal((60, DIM))
    made = rows.astype(np.float32), queries.astype(np.float32)
    return (normalize_rows(made[0]), normalize_rows(made[1])) if metric.normalizes else made


def build(name: str, metric: Metric) -> SegmentIndex:
    return recipe(name).build(data(metric)[0], metric, IndexParameters(), BuildContext(2))


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    pairs = zip(found, truth, strict=True)
    shared = [len(set(a.tolist()) & set(b[b >= 0].tolist())) for a, b in pairs]
    return sum(shared) / max(1, int((truth >= 0).sum()))


@pytest.fixture(scope="module")
def indexes() -> dict[tuple[str, Metric], SegmentIndex]:
    return {}


@pytest.fixture
def index(
    name: str, metric: Metric, indexes: dict[tuple[str, Metric], SegmentIndex]
) -> SegmentIndex:
    if (name, metric) not in indexes:
        indexes[name, metric] = build(name, metric)
    return indexes[name, metric]


every_recipe = pytest.mark.parametrize("name", NAMES)
every_metric = pytest.mark.parametrize("metric", list(Metric))


@every_metric
@every_recipe
def test_recall_at_the_default_effort(name: str, metric: Metric, index: SegmentIndex) -> None:
    rows, queries = data(metric)
    scores, positions = index.search(queries, K, SearchParameters())
    truth_scores, truth = search_exact(rows, queries, K, metric)
    assert recall(positions, truth) >= 0.95
    assert positions.dtype == np.int64
    assert scores.dtype in (np.float32, np.float64)
    assert (np.diff(scores, axis=1) <= 0).all()
    same = positions == truth
    np.testing.assert_allclose(scores[same], truth_scores[same], rtol=1e-3, atol=1e-3)


@every_metric
@every_recipe
@pytest.mark.parametrize("share", [0.7, 0.3, 0.003, 0.0])
def test_masks_are_never_violated(
    name: str, metric: Metric, index: SegmentIndex, share: float
) -> None:
    queries = data(metric)[1]
    mask = np.random.default_rng(1).random(ROWS) < share
    scores, positions = index.search(queries, K, SearchParameters(), mask)
    found = positions >= 0
    assert mask[positions[found]].all()
    assert np.isneginf(scores[~found]).all()
    assert np.isfinite(scores[found]).all()
    for row in positions:
        assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()


@every_recipe
@pytest.mark.parametrize("metric", [Metric.COSINE])
def test_more_effort_finds_more(name: str, metric: Metric, index: SegmentIndex) -> None:
    rows, queries = data(metric)
    mask = np.random.default_rng(1).random(ROWS) < 0.3
    truth = search_exact(rows, queries, K, metric, mask=mask)[1]
    wide = SearchParameters(ef=1000, nprobe=10_000, rerank=1000)
    assert recall(index.search(queries, K, wide, mask)[1], truth) >= 0.99


@every_metric
@every_recipe
def test_a_saved_index_is_the_same(
    name: str, metric: Metric, index: SegmentIndex, tmp_path: Path
) -> None:
    rows, queries = data(metric)
    (tmp_path / "rows").write_bytes(rows.tobytes())
    mapped = np.memmap(tmp_path / "rows", dtype=np.float32, mode="r", shape=rows.shape)
    index.save(tmp_path / "index")
    loaded = recipe(name).load(tmp_path / "index", mapped, metric)
    for mask in (None, np.arange(ROWS) % 3 == 0):
        mine = index.search(queries, K, SearchParameters(), mask)
        theirs = loaded.search(queries, K, SearchParameters(), mask)
        np.testing.assert_array_equal(mine[1], theirs[1])
        np.testing.assert_array_equal(mine[0], theirs[0])
    assert (loaded.method, loaded.rows) == (index.method, ROWS)
    assert (loaded.lists is None) == (index.lists is None)
    if index.lists is not None and loaded.lists is not None:
        np.testing.assert_array_equal(index.lists.labels, loaded.lists.labels)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("auto", "exact")])
def test_files_that_are_no_index_are_refused(name: str, tmp_path: Path) -> None:
    rows = data(Metric.COSINE)[0]
    path = tmp_path / "index"
    for content in (b"", b"nonsense" * 100):
        path.write_bytes(content)
        with pytest.raises(RecipeError):
            recipe(name).load(path, rows, Metric.COSINE)
    faiss.write_index(faiss.IndexFlatIP(DIM), str(path))
    with pytest.raises(RecipeError, match="rows are"):
        recipe(name).load(path, rows, Metric.COSINE)


@pytest.mark.parametrize("name", ["hnsw", "ivf_pq"])
@pytest.mark.parametrize("metric", [Metric.COSINE])
def test_searches_of_different_effort_run_at_once(
    name: str, metric: Metric, index: SegmentIndex
) -> None:
    # queries of no cluster, which little effort serves badly
    unlike = np.random.default_rng(2).standard_normal((60, DIM)).astype(np.float32)
    queries = normalize_rows(unlike)
    efforts = [SearchParameters(ef=10, nprobe=1, rerank=10), SearchParameters(ef=500, nprobe=50)]
    alone = [index.search(queries, K, effort)[1] for effort in efforts]
    assert not np.array_equal(alone[0], alone[1])
    results: list[list[NDArray[np.int64]]] = [[], []]

    def run(which: int) -> None:
        for _ in range(15):
            results[which].append(index.search(queries, K, efforts[which])[1])

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in (0, 1):
        assert len(results[which]) == 15
        assert all(np.array_equal(found, alone[which]) for found in results[which])


@every_recipe
@pytest.mark.parametrize("count", [1, 3, 40])
def test_tiny_segments_work(name: str, count: int) -> None:
    if name in FACTORY or name == "ivf_pq":
        pytest.skip("product codes need at least 16 rows to train")
    rows = data(Metric.COSINE)[0][:count]
    index = recipe(name).build(rows, Metric.COSINE, IndexParameters(), BuildContext())
    positions = index.search(rows, 5, SearchParameters())[1]
    assert positions.shape == (count, 5)
    np.testing.assert_array_equal(positions[:, 0], np.arange(count))
    assert ((positions >= 0).sum(axis=1) <= min(count, 5)).all()


def test_a_build_can_be_cancelled_and_leaves_the_threads_as_they_were() -> None:
    class CancelledError(RuntimeError):
        pass

    def check(done: int, total: int) -> None:
        assert total == ROWS
        if done >= ROWS // 2:
            raise CancelledError

    before = faiss.omp_get_max_threads()
    with pytest.raises(CancelledError):
        recipe("hnsw").build(
            data(Metric.COSINE)[0], Metric.COSINE, IndexParameters(), BuildContext(1, check)
        )
    assert faiss.omp_get_max_threads() == before


def test_build_threads_are_the_building_threads_own() -> None:
    seen: list[int] = []

    def check(done: int, total: int) -> None:
        seen.append(faiss.omp_get_max_threads())

    def run() -> None:
        recipe("hnsw").build(
            data(Metric.COSINE)[0][:100], Metric.COSINE, IndexParameters(), BuildContext(3, check)
        )

    before = faiss.omp_get_max_threads()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert set(seen) == {3}
    assert faiss.omp_get_max_threads() == before


def test_a_graph_reads_the_rows_it_is_given() -> None:
    rows, queries = data(Metric.COSINE)
    given = rows.copy()
    index = recipe("hnsw").build(given, Metric.COSINE, IndexParameters(), BuildContext())
    before = index.search(queries, 1, SearchParameters())[0]
    given *= 2
    after = index.search(queries, 1, SearchParameters())[0]
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_parameters_of_building_are_heeded() -> None:
    rows = data(Metric.COSINE)[0]
    sparse, dense = (
        recipe("hnsw").build(rows, Metric.COSINE, IndexParameters(m=m), BuildContext())
        for m in (8, 48)
    )
    assert dense.memory_bytes > 3 * sparse.memory_bytes
    lists = recipe("ivf").build(rows, Metric.COSINE, IndexParameters(nlist=17), BuildContext())
    assert lists.lists is not None
    assert len(lists.lists.centers) == 17
    small, large = (
        recipe("ivf_pq").build(rows, Metric.COSINE, IndexParameters(pq_bytes=size), BuildContext())
        for size in (2, 16)
    )
    assert small.memory_bytes < large.memory_bytes


@pytest.mark.parametrize("name", ["hnws", "", "factory:", "factory:Nonsense", "factory:IDMap,Flat"])
def test_unknown_recipes_are_refused(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        recipe(name)
    assert caught.value.field == "recipe"


@pytest.mark.parametrize("text", ["IVF8,PQ48x4fs", "PQ7", "PCA40,IVF64,PQ10"])
def test_strings_for_other_dimensions_are_accepted(text: str) -> None:
    assert recipe(f"factory:{text}").name == f"factory:{text}"


def test_a_misspelt_recipe_is_answered_with_all_names() -> None:
    with pytest.raises(SpecError, match="exact, hnsw, hnsw_sq8, ivf, ivf_pq, ivf_sq8, rabitq"):
        recipe("flat")


def test_a_string_that_does_not_fit_the_rows_is_a_recipe_error() -> None:
    rows = data(Metric.COSINE)[0]
    with pytest.raises(RecipeError, match="cannot be built"):
        recipe("factory:IVF8,PQ64").build(rows, Metric.COSINE, IndexParameters(), BuildContext())


@pytest.mark.parametrize("text", ["LSH", "NSG16", "PQ16x4fs"])
def test_an_index_that_cannot_filter_is_searched_exactly_under_a_mask(text: str) -> None:
    rows, queries = data(Metric.L2)
    rows = rows[:1500]
    built = recipe(f"factory:{text}").build(rows, Metric.L2, IndexParameters(), BuildContext(2))
    assert not built.filters
    truth = search_exact(rows, queries, K, Metric.L2)[1]
    assert recall(built.search(queries, K, SearchParameters())[1], truth) > 0.4
    mask = np.arange(1500) % 5 == 0
    found = built.search(queries, K, SearchParameters(), mask)
    expected = search_exact(rows, queries, K, Metric.L2, mask=mask)
    np.testing.assert_array_equal(found[1], expected[1])


def test_names_are_those_of_the_table() -> None:
    for name in [*TABLE, *FACTORY]:
        assert recipe(name).name == name


@pytest.mark.parametrize(
    ("rows", "dim", "name"),
    [(10, 384, "exact"), (50_000, 384, "hnsw"), (500_000, 384, "ivf_pq"), (500_000, 8, "hnsw")],
)
def test_auto_goes_by_size(rows: int, dim: int, name: str) -> None:
    assert concrete("auto", rows, dim) == name
    assert concrete("ivf", rows, dim) == "ivf"
