"""Segments on a device: what lives there, who touches it, and what the CPU does instead.

A CPU index stands for the one on the GPU, behind the same thread and the same limits; the tests
of a real GPU skip where FAISS sees none.
"""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedders.vectors import FloatRows, normalize_rows
from index.base import Collection, SearchRequest
from index.engine import FaissEngine
from index.gpu import device as gpu
from index.gpu.copies import CAPABILITIES, pieces_of
from index.gpu.device import LIMIT, BeyondDeviceError, Device, DeviceError, open_device
from index.gpu.index import GpuIndex, to_device
from index.options import EngineOptions
from index.recipes import TABLE, recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.exact import search_exact
from index.types import CollectionSpec, IndexParameters, Metric, Points, SearchParameters
from index.untyped import faiss

ROWS, DIM, K = 6000, 32, 10
ABLE = [(name, metric) for name, able in CAPABILITIES.items() for metric in able.metrics]


class Pretended:
    """Stands for a GPU: copies stay on the CPU, and each knows who touches it."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.made: list[str] = []
        self.freed: list[threading.Thread] = []
        self.searches = 0
        self.busy = False
        self.fails = ""

    def copy(self, index: Any, small_tables: bool) -> "Copied":
        self.check("copy")
        self.made.append(type(index).__name__)
        return Copied(self, clone(index))

    def check(self, step: str) -> None:
        assert threading.current_thread() is self.thread
        if self.fails == step:
            raise RuntimeError("cudaMalloc error out of memory")


def clone(index: Any) -> Any:
    """As `clone_index`, of mapped lists too, which a GPU reads and `clone_index` does not."""
    if not isinstance(index, faiss.IndexIVFFlat):
        return faiss.clone_index(index)
    made = faiss.IndexIVFFlat(
        faiss.clone_index(index.quantizer), index.d, index.nlist, index.metric_type
    )
    lists = faiss.ArrayInvertedLists(index.nlist, index.code_size)
    index.invlists.copy_subset_to(lists, 0, 0, index.ntotal)
    made.replace_invlists(lists, True)
    lists.this.disown()
    made.ntotal = index.ntotal
    return made


class Copied:
    def __init__(self, owner: Pretended, index: Any) -> None:
        self.owner, self.index = owner, index

    def __del__(self) -> None:
        self.owner.freed.append(threading.current_thread())

    def add(self, rows: FloatRows) -> None:
        self.owner.check("add")
        self.index.add(rows)

    def search(self, queries: FloatRows, k: int, params: Any = None) -> Any:
        self.owner.check("search")
        assert k <= LIMIT
        # FAISS ignores it on a GPU, so nobody may count on it
        assert params is None or params.sel is None
        assert not self.owner.busy
        self.owner.busy, self.owner.searches = True, self.owner.searches + 1
        found = self.index.search(queries, k, params=params)
        self.owner.busy = False
        return found


@pytest.fixture
def pretended() -> list[Pretended]:
    return []


@pytest.fixture
def device(pretended: list[Pretended]) -> Iterator[Device]:
    def make() -> Pretended:
        pretended.append(Pretended())
        return pretended[0]

    made = Device("cuda:0", make)
    yield made
    made.close()


def data(metric: Metric) -> tuple[FloatRows, FloatRows]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((80, DIM))
    rows = centers[rng.integers(0, 80, ROWS)] + 0.5 * rng.standard_normal((ROWS, DIM))
    queries = centers[rng.integers(0, 80, 60)] + 0.5 * rng.standard_normal((60, DIM))
    made = rows.astype(np.float32), queries.astype(np.float32)
    return (normalize_rows(made[0]), normalize_rows(made[1])) if metric.normalizes else made


def host(name: str, metric: Metric) -> SegmentIndex | None:
    if name == "exact":
        return None
    return recipe(name).build(data(metric)[0], metric, IndexParameters(), BuildContext(2))


def there(name: str, metric: Metric, device: Device) -> SegmentIndex:
    index = to_device(host(name, metric), name, data(metric)[0], metric, device)
    assert index is not None
    return index


def check_against_the_oracle(index: SegmentIndex, metric: Metric) -> None:
    rows, queries = data(metric)
    scores, positions = index.search(queries, K, SearchParameters())
    best, truth = search_exact(rows, queries, K, metric)
    hits = [np.isin(one, true).mean() for one, true in zip(positions, truth, strict=True)]
    assert np.mean(hits) >= 0.95
    same = positions == truth
    np.testing.assert_allclose(scores[same], best[same], rtol=1e-3, atol=1e-3)
    assert (np.diff(scores, axis=1) <= 0).all()
    mask = np.random.default_rng(1).random(ROWS) < 0.3
    masked = index.search(queries, K, SearchParameters(), mask)[1]
    assert mask[masked[masked >= 0]].all()


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7])
@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
def test_exact_search_there_is_a_full_sort_in_float64(
    metric: Metric, offset: float, device: Device
) -> None:
    rows, queries = (part + np.float32(offset) for part in data(metric))
    index = to_device(None, "exact", rows, metric, device)
    assert isinstance(index, GpuIndex)
    scores, positions = index.search(queries, K, SearchParameters())
    wide = rows.astype(np.float64)
    for query, own, places in zip(queries.astype(np.float64), scores, positions, strict=True):
        true = -((wide - query) ** 2).sum(axis=1) if metric is Metric.L2 else wide @ query
        best = -np.sort(-true)[:K]
        np.testing.assert_allclose(true[places], best, rtol=1e-13)
        np.testing.assert_allclose(own, best, rtol=1e-13)


@pytest.mark.parametrize(("name", "metric"), ABLE)
def test_the_copy_answers_as_the_oracle(
    name: str, metric: Metric, device: Device, pretended: list[Pretended]
) -> None:
    index = there(name, metric, device)
    assert isinstance(index, GpuIndex)
    check_against_the_oracle(index, metric)
    assert pretended[0].searches == 1


@pytest.mark.parametrize("name", sorted(set(TABLE) - set(CAPABILITIES) - {"auto"}))
def test_other_recipes_stay(name: str, device: Device, pretended: list[Pretended]) -> None:
    index = host(name, Metric.L2)
    assert to_device(index, name, data(Metric.L2)[0], Metric.L2, device) is index
    assert not pretended[0].made


def test_product_codes_under_dot_stay(device: Device) -> None:
    assert not isinstance(there("ivf_pq", Metric.DOT, device), GpuIndex)


def test_what_kind_of_index_goes_there(device: Device, pretended: list[Pretended]) -> None:
    for name in ("exact", "ivf", "ivf_pq"):
        there(name, Metric.COSINE, device)
    assert pretended[0].made == ["IndexFlat", "IndexIVFFlat", "IndexIVFPQ"]


@pytest.mark.parametrize(
    ("dim", "wanted", "pieces"), [(384, 96, 96), (512, 128, 64), (768, 192, 96), (31, 8, 1)]
)
def test_bytes_of_a_code_are_what_kernels_exist_for(dim: int, wanted: int, pieces: int) -> None:
    assert pieces_of(dim, wanted) == pieces


@pytest.mark.parametrize("params", [SearchParameters(), SearchParameters(nprobe=5000)])
def test_beyond_the_limits_the_cpu_answers(
    params: SearchParameters, device: Device, pretended: list[Pretended]
) -> None:
    metric = Metric.L2
    rows, queries = data(metric)
    index = there("ivf", metric, device)
    k = K if params.nprobe else LIMIT + 1
    scores, positions = index.search(queries, k, params)
    wanted = recipe("ivf").build(rows, metric, IndexParameters(), BuildContext(2))
    np.testing.assert_array_equal(positions, wanted.search(queries, k, params)[1])
    assert scores.shape == (60, k)


def test_a_held_index_says_what_is_beyond_it(device: Device) -> None:
    held = device.hold(faiss.IndexFlatL2(DIM), small_tables=False)
    with pytest.raises(BeyondDeviceError):
        held.search(np.zeros((1, DIM), np.float32), LIMIT + 1)


@pytest.mark.parametrize("step", ["copy", "add"])
def test_no_memory_for_a_copy(
    step: str, device: Device, pretended: list[Pretended], caplog: pytest.LogCaptureFixture
) -> None:
    pretended[0].fails = step
    assert to_device(None, "exact", data(Metric.L2)[0], Metric.L2, device) is None
    index = host("ivf_pq", Metric.L2)
    assert to_device(index, "ivf_pq", data(Metric.L2)[0], Metric.L2, device) is index
    assert sum("out of memory" in message for message in caplog.messages) == 1
    wait_until(lambda: len(pretended[0].freed) == len(pretended[0].made))


@pytest.mark.parametrize("name", ["exact", "ivf"])
def test_a_failing_search_is_the_cpus(
    name: str, device: Device, pretended: list[Pretended], caplog: pytest.LogCaptureFixture
) -> None:
    index = there(name, Metric.COSINE, device)
    pretended[0].fails = "search"
    check_against_the_oracle(index, Metric.COSINE)
    check_against_the_oracle(index, Metric.COSINE)
    assert sum("out of memory" in message for message in caplog.messages) == 1


def test_many_threads_are_served_one_at_a_time(device: Device, pretended: list[Pretended]) -> None:
    index = there("ivf", Metric.L2, device)
    queries = data(Metric.L2)[1]
    alone = index.search(queries, K, SearchParameters())[1]

    def one(i: int) -> Any:
        return index.search(queries[i : i + 1], K, SearchParameters())[1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(60)))
    np.testing.assert_array_equal(np.concatenate(found), alone)
    assert pretended[0].searches == 61


def test_a_copy_is_freed_by_the_devices_thread(device: Device, pretended: list[Pretended]) -> None:
    index = there("exact", Metric.L2, device)
    index.search(data(Metric.L2)[1], K, SearchParameters())
    assert not pretended[0].freed
    del index
    gc.collect()
    wait_until(lambda: bool(pretended[0].freed))
    assert pretended[0].freed == [pretended[0].thread]


def test_a_mistake_reaches_its_caller(device: Device) -> None:
    with pytest.raises(ZeroDivisionError):
        device.call(lambda: 1 / 0)
    assert device.call(lambda: 2) == 2


def test_a_device_that_cannot_be_opened() -> None:
    def make() -> Pretended:
        raise RuntimeError("no driver")

    with pytest.raises(DeviceError, match="no driver"):
        Device("cuda:0", make)


def test_the_file_is_the_cpu_indexs(device: Device, tmp_path: Path) -> None:
    rows, queries = data(Metric.L2)
    index = there("ivf", Metric.L2, device)
    index.save(tmp_path / "index")
    loaded = recipe("ivf").load(tmp_path / "index", rows, Metric.L2)
    np.testing.assert_array_equal(
        loaded.search(queries, K, SearchParameters())[1],
        index.search(queries, K, SearchParameters())[1],
    )


def test_there_is_no_such_device(caplog: pytest.LogCaptureFixture) -> None:
    open_device.cache_clear()
    assert open_device("cuda:99") is None
    assert open_device("cuda:99") is None
    assert sum("the CPU is used" in message for message in caplog.messages) == 1
    assert open_device("cpu") is None
    with pytest.raises(ValueError, match="neither cpu"):
        open_device("tpu")


def filled(folder: Path, name: str, device: str) -> tuple[FaissEngine, Collection]:
    engine = FaissEngine(
        folder, options=EngineOptions(threads=2, seal_rows=ROWS // 2, device=device)
    )
    spec = CollectionSpec(dim=DIM, metric=Metric.L2, recipe=name)
    return engine, engine.create("photos", spec)


@pytest.mark.parametrize("name", ["exact", "ivf"])
def test_a_collection_moves_there_and_answers_after_deletes_and_restart(
    name: str,
    device: Device,
    pretended: list[Pretended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("index.upkeep.placing.open_device", lambda _: device)
    rows, queries = data(Metric.L2)
    engine, collection = filled(tmp_path, name, "cuda:0")
    collection.upsert(Points([str(i) for i in range(ROWS)], rows))
    collection.optimize()
    request = SearchRequest(queries, k=K)
    before = pretended[0].searches
    found = collection.search(request)
    assert pretended[0].searches > before
    check_hits(found.points.ids, rows, queries)
    gone = found.points.ids[0]
    collection.delete([gone])
    assert gone not in collection.search(request).points.ids
    engine.close()
    made = len(pretended[0].made)
    engine = FaissEngine(tmp_path, options=EngineOptions(threads=2, device="cuda:0"))
    wait_until(lambda: len(pretended[0].made) > made)
    assert gone not in engine.get("photos").search(request).points.ids
    engine.close()


def test_exact_segments_there_get_another_recipe(
    device: Device, pretended: list[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.upkeep.placing.open_device", lambda _: device)
    rows, queries = data(Metric.L2)
    engine, collection = filled(tmp_path, "exact", "cuda:0")
    collection.upsert(Points([str(i) for i in range(ROWS)], rows))
    collection.optimize()
    assert set(pretended[0].made) == {"IndexFlat"}
    collection.update(recipe="ivf")
    collection.optimize(full=True)
    assert [part.recipe for part in collection.info.segments if part.rows] == ["ivf"]
    assert pretended[0].made[-1] == "IndexIVFFlat"
    check_hits(collection.search(SearchRequest(queries, k=K)).points.ids, rows, queries)
    engine.close()


def test_a_collection_without_the_gpu_it_wants(tmp_path: Path) -> None:
    rows, queries = data(Metric.L2)
    engine, collection = filled(tmp_path, "ivf", "cuda:99")
    collection.upsert(Points([str(i) for i in range(ROWS)], rows))
    collection.optimize()
    check_hits(collection.search(SearchRequest(queries, k=K)).points.ids, rows, queries)
    engine.close()


def check_hits(ids: Any, rows: FloatRows, queries: FloatRows) -> None:
    found = np.array([int(one) for one in ids]).reshape(len(queries), K)
    truth = search_exact(rows, queries, K, Metric.L2)[1]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(found, truth, strict=True)]) >= 0.95


def wait_until(done: Any) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


on_a_gpu = pytest.mark.skipif(
    faiss.get_num_gpus() == 0, reason="FAISS sees no GPU (faiss-gpu and a CUDA device are needed)"
)


@on_a_gpu
@pytest.mark.parametrize(("name", "metric"), ABLE)
def test_a_real_gpu_answers_as_the_oracle(name: str, metric: Metric) -> None:
    device = gpu.open_device("cuda:0")
    assert device is not None
    index = there(name, metric, device)
    assert isinstance(index, GpuIndex)
    check_against_the_oracle(index, metric)
