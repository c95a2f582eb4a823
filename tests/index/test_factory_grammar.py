"""Factory strings: what is taken FAISS builds in little memory, all else is refused before."""

import os
import sqlite3
import time
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.base import SearchRequest
from index.engine import FaissEngine
from index.errors import SpecError
from index.options import EngineOptions
from index.recipes import recipe
from index.recipes.factory_grammar import check_factory_string
from index.store.spec_json import dump_spec
from index.types import CollectionSpec, IndexParameters, Metric, Points, SearchParameters

EXAMPLES = 10_000 if os.environ.get("LATENTSPACE_LONG") else 300
DIM = 64  # every number below divides it, or is cut

CODES = ["Flat", "SQ4", "SQ6", "SQ8", "SQfp16", "SQbf16", "PQ8", "PQ16x4", "PQ16x4fs", "RaBitQ"]
NUMBERS = st.sampled_from([2, 4, 8, 16, 32])
STRINGS = st.builds(
    lambda transforms, index, refine: ",".join([*transforms, index, *refine]),
    st.lists(
        st.one_of(
            st.sampled_from(["L2norm", "RR64", "PCA64", "PCAR64"]),
            NUMBERS.map(lambda m: f"OPQ{m}_64"),
        ),
        max_size=2,
    ),
    st.one_of(
        st.sampled_from(CODES),
        st.builds(lambda n, code: f"IVF{n},{code}", NUMBERS, st.sampled_from(CODES)),
        st.builds(lambda n, m: f"IVF{n}_HNSW{m},Flat", NUMBERS, NUMBERS),
        NUMBERS.map(lambda m: f"HNSW{m}"),
        st.builds(lambda m, code: f"HNSW{m},{code}", NUMBERS, st.sampled_from(["Flat", "SQ8"])),
        NUMBERS.map(lambda r: f"NSG{4 * r},Flat"),
        st.just("LSH"),
    ),
    st.sampled_from([[], ["RFlat"], ["Refine(SQ8)"], ["Refine(Flat)"]]),
)


@given(STRINGS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_strings_of_the_grammar_are_those_of_faiss(text: str) -> None:
    check_factory_string(text)
    assert faiss.index_factory(DIM, text).d == DIM


@given(st.one_of(st.text(max_size=80), st.text("IVFHNSWPQSQ0123456789,()_xfsRlatCA", max_size=80)))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_text_is_built_or_refused_by_name(text: str) -> None:
    with suppress(SpecError):
        recipe(f"factory:{text}")


@pytest.mark.parametrize(
    "text",
    [
        "I" * 20_000,
        "," * 20_000,
        "(" * 20_000,
        "Refine(" * 3_000 + ")" * 3_000,
        "IVF99999999,Flat",
        "IVF1024(IVF1024(IVF1024,Flat),Flat),Flat",
        "PQ64x24",
        "PQ1024x24",
        "HNSW4294967295",
        "NSG1000000,Flat",
        "Pad1000000000,Flat",
        "PCA99999999999999999999,Flat",
        "PCA64,PCA64,PCA64,Flat",
        "IDMap,Flat",
        "HNSW32_PQ999999999",
        "IVF2_HNSW2000000000,Flat",
        "RQ64x16_Nfloat",
        "Flat\x00",
        "Flat\n",
        "",
    ],
)
def test_strings_that_would_end_the_process_or_fill_it(text: str) -> None:
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(SpecError) as refused:
        recipe(f"factory:{text}")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
    assert refused.value.field == "recipe"
    # a coarse bound: FAISS took seconds, or never came back
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"m": 1_000_000},
        {"m": 1},
        {"ef_construction": 2**32 - 1},
        {"nlist": 10**6},
        {"pq_bytes": 9999},
    ],
)
def test_parameters_that_no_build_survives(tmp_path: Path, parameters: dict[str, int]) -> None:
    engine = FaissEngine(tmp_path)
    try:
        name = next(iter(parameters))
        params = IndexParameters(**parameters)
        with pytest.raises(SpecError, match=rf"index\.{name} must be"):
            engine.create("c", CollectionSpec(4, index=params))
        collection = engine.create("c", CollectionSpec(4))
        with pytest.raises(SpecError, match=rf"index\.{name} must be"):
            collection.update(index=params)
        with pytest.raises(SpecError, match=r"search\.ef must be"):
            collection.update(search=SearchParameters(ef=2**31))
    finally:
        engine.close()


@pytest.mark.parametrize("text", ["I" * 20_000, "IVF99999999,Flat"])
def test_a_stored_string_that_is_refused_today_degrades_its_collection(
    tmp_path: Path, text: str
) -> None:
    rows = np.random.default_rng(0).standard_normal((3000, 4), dtype=np.float32)
    ids = [f"p{i}" for i in range(len(rows))]
    engine = FaissEngine(tmp_path, options=EngineOptions(seal_rows=1000))
    engine.create("c", CollectionSpec(4, metric=Metric.L2)).upsert(Points(ids, rows))
    engine.create("good", CollectionSpec(4))
    engine.close()
    with closing(sqlite3.connect(tmp_path / "collections" / "c" / "store.db")) as store, store:
        spec = dump_spec(CollectionSpec(4, metric=Metric.L2, recipe=f"factory:{text}"))
        store.execute("UPDATE meta SET value = ? WHERE key = 'spec'", (spec,))
    engine = FaissEngine(tmp_path, options=EngineOptions(seal_rows=1000))
    try:
        assert engine.names() == ["c", "good"]
        collection = engine.get("c")
        hits = collection.search(SearchRequest(rows[7:8], k=1))
        assert hits.points.ids == ["p7"]
    finally:
        engine.close()
