"""What `auto` stands for, by size and memory budget."""

from pathlib import Path

import numpy as np
import pytest

from embedders.vectors import normalize_rows
from index.base import SearchRequest
from index.engine import FaissEngine
from index.options import EngineOptions
from index.recipes import concrete, recipe
from index.recipes.base import BuildContext
from index.search.exact import search_exact
from index.types import CollectionSpec, IndexParameters, Metric, Points

MIB = 1 << 20


@pytest.mark.parametrize(
    ("rows", "dim", "budget", "wanted"),
    [
        (4_999, 384, 0, "exact"),
        (4_999, 384, MIB, "exact"),
        (5_000, 384, 0, "hnsw"),
        (100_000, 384, 200 * MIB, "hnsw"),
        (100_000, 384, 100 * MIB, "hnsw_sq8"),
        (100_000, 384, 20 * MIB, "ivf_pq"),
        (100_000, 32, 1 * MIB, "hnsw_sq8"),
        (200_000, 384, 0, "ivf_pq"),
        (200_000, 32, 0, "hnsw"),
    ],
)
def test_the_choice(rows: int, dim: int, budget: int, wanted: str) -> None:
    assert concrete("auto", rows, dim, budget) == wanted


@pytest.mark.parametrize("name", ["hnsw", "hnsw_sq8", "ivf_pq"])
def test_the_estimate_covers_what_the_index_takes(name: str, tmp_path: Path) -> None:
    rows, dim = 8_000, 128
    data = normalize_rows(np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32))
    index = recipe(name).build(data, Metric.COSINE, IndexParameters(), BuildContext(2))
    index.save(tmp_path / "index")
    budget = {"hnsw": 4 * dim + 280, "hnsw_sq8": dim + 280, "ivf_pq": dim // 4 + 64}[name] * rows
    stored = (tmp_path / "index").stat().st_size
    # a graph's rows are in the row file, which it reads at random
    taken = stored + data.nbytes if name == "hnsw" else stored
    assert taken <= 1.1 * budget + MIB
    assert concrete("auto", rows, dim, budget) == name


def test_a_collection_heeds_the_budget(tmp_path: Path) -> None:
    rows = normalize_rows(np.random.default_rng(1).standard_normal((6_000, 32), dtype=np.float32))
    engine = FaissEngine(tmp_path, threads=2, options=EngineOptions(memory_bytes=MIB))
    try:
        collection = engine.create("c", CollectionSpec(dim=32, metric=Metric.COSINE))
        collection.upsert(Points([str(i) for i in range(len(rows))], rows))
        collection.optimize()
        assert collection.info.recipe == "hnsw_sq8"
        found = collection.search(SearchRequest(rows[:50], k=10))
        truth = search_exact(rows, rows[:50], 10, Metric.COSINE)[1]
        ids = np.array(found.points.ids, dtype=int).reshape(50, 10)
        hits = [np.isin(a, b).mean() for a, b in zip(ids, truth, strict=True)]
        assert np.mean(hits) >= 0.9
    finally:
        engine.close()
