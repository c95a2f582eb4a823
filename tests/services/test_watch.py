"""Canaries and their watcher, in this process, against parts that are really broken."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from embedders.base import Encoded, EncodeOptions, Modality, Prepared
from embedders.hashing import HashEncoder, HashOptions
from embedders.registry import load
from index.engine import FaissEngine
from index.errors import StorageError
from index.store.schema import STORE_FILE
from index.types import CollectionSpec, Points
from services.runtime.batching import BatchLimits
from services.runtime.canary import CanaryError, SearchCanary, ask_model, ask_vocabulary
from services.runtime.lag import LoopLag
from services.runtime.models import Model, ModelConfig, ModelRegistry
from services.runtime.pools import Pools
from services.runtime.probe import Probe, WatchOptions
from services.runtime.watch import Verdict, Watcher

QUICK = WatchOptions(interval_s=0.05, timeout_s=0.2)
ROWS = np.eye(4, dtype=np.float32)


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools(2)
    yield made
    made.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    made = FaissEngine(tmp_path, threads=1)
    made.create("notes", CollectionSpec(4, recipe="exact")).upsert(Points(["a"], ROWS[:1]))
    yield made
    made.close()


async def loaded(pools: Pools, encoder: HashEncoder) -> Model:
    config = ModelConfig("m", "hash", "")
    registry = ModelRegistry([config], pools, BatchLimits(), lambda *_: encoder)
    return await registry.load("m")


class Listening(HashEncoder):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("m", HashOptions())
        self.asked: list[tuple[Modality, EncodeOptions]] = []

    def _forward(self, batch: list[Prepared], options: EncodeOptions) -> Encoded:  # type: ignore[override]
        self.asked += [(prepared.modality, options) for prepared in batch]
        return super()._forward(batch, options)


class Wrong(HashEncoder):
    """Gives numbers that are none."""

    def _forward(self, batch: list[Prepared], options: EncodeOptions) -> Encoded:  # type: ignore[override]
        return Encoded.one_each(np.full((len(batch), self.info.dim), np.nan, np.float32))


async def test_texts_and_images_are_both_asked(pools: Pools) -> None:
    encoder = Listening()
    model = await loaded(pools, encoder)
    encoder.asked.clear()
    await ask_model(pools, model)
    assert [modality for modality, _ in encoder.asked] == [Modality.IMAGE, Modality.TEXT]
    assert all(options.cropped for _, options in encoder.asked)


async def test_rows_that_are_not_finite_are_illness(pools: Pools) -> None:
    model = await loaded(pools, Wrong("m", HashOptions()))
    with pytest.raises(CanaryError, match="finite"):
        await ask_model(pools, model)


async def test_shipped_models_answer_their_canaries(pools: Pools) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("onnxruntime")
    configs = [ModelConfig(name, name, "") for name in ("face", "word2vec", "node2vec")]
    registry = ModelRegistry(configs, pools, BatchLimits(), load)
    for config in configs:
        model = await registry.load(config.id)
        await ask_model(pools, model)
        await ask_vocabulary(pools, model)
    await registry.close()


async def test_a_row_of_zeros_is_no_illness(pools: Pools, tmp_path: Path) -> None:
    path = tmp_path / "padded.txt"
    path.write_text("<pad> 0 0\nharbour 1 2\n")
    registry = ModelRegistry([ModelConfig("m", "word2vec", str(path))], pools, BatchLimits(), load)
    model = await registry.load("m")
    await ask_model(pools, model)
    await ask_vocabulary(pools, model)
    await registry.close()


async def test_canaries_run_at_intervals_and_never_two_at_once() -> None:
    running = most = asked = 0
    held = asyncio.Event()
    heard: list[str] = []

    async def ask() -> None:
        nonlocal running, most, asked
        running, asked = running + 1, asked + 1
        most = max(most, running)
        await held.wait()
        running -= 1

    async def hear() -> None:
        heard.append(probe.fault)

    probe = Probe("it", ask, QUICK, hear)
    task = asyncio.create_task(probe.run())
    await asyncio.sleep(1.0)
    assert (asked, heard, probe.well) == (1, ["no answer in 0.2 s"], False)
    held.set()
    await asyncio.sleep(0.5)
    assert probe.well
    assert asked > 3
    assert (most, heard) == (1, ["no answer in 0.2 s", ""])
    task.cancel()


async def test_wedged_search_threads_are_told_and_so_is_their_end(
    pools: Pools, engine: FaissEngine
) -> None:
    verdicts: list[Verdict] = []
    changed = asyncio.Event()

    async def report(verdict: Verdict) -> None:
        verdicts.append(verdict)
        changed.set()

    registry = ModelRegistry([], pools, BatchLimits(), load)
    watcher = Watcher(registry, pools, engine, QUICK, report)
    await watcher.start()
    release = threading.Event()
    wedged = [asyncio.create_task(pools.search.run(release.wait)) for _ in range(pools.cores)]
    changed.clear()
    await asyncio.wait_for(changed.wait(), 20)
    changed.clear()
    release.set()
    await asyncio.wait_for(changed.wait(), 20)
    assert [verdict.search for verdict in verdicts] == [True, False, True]
    assert all(verdict.embedding for verdict in verdicts)
    await asyncio.gather(*wedged)
    await watcher.close()


async def test_a_collection_that_no_longer_reads_is_illness(
    pools: Pools, engine: FaissEngine, tmp_path: Path
) -> None:
    canary = SearchCanary(pools, engine)
    await canary.ask()
    with closing(sqlite3.connect(tmp_path / "collections" / "notes" / STORE_FILE)) as store:
        store.execute("ALTER TABLE points RENAME TO gone")
    with pytest.raises(StorageError, match="points"):
        await canary.ask()


async def test_deleted_and_damaged_collections_are_no_illness(
    pools: Pools, engine: FaissEngine, tmp_path: Path
) -> None:
    engine.drop("notes")
    await SearchCanary(pools, engine).ask()
    damaged = tmp_path / "other" / "collections" / "damaged"
    damaged.mkdir(parents=True)
    (damaged / STORE_FILE).write_bytes(b"not a store")
    again = FaissEngine(tmp_path / "other", threads=1)
    assert again.names() == ["damaged"]
    await SearchCanary(pools, again).ask()
    again.close()


async def test_a_blocked_event_loop_is_seen() -> None:
    lag = LoopLag()
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    threading.Event().wait(1.8)
    await asyncio.sleep(0.01)
    assert lag.stalls == 1
    assert lag.last_s > 1.0
    task.cancel()
