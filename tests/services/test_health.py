"""Health of a real server whose models are really broken."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from latentspace import Client
from latentspace.calls import RetryPolicy
from latentspace.errors import LatentspaceError
from services.app.local import LocalServer
from tests.services.fragile_plugin import broken, install
from tests.services.health_watch import HealthWatch

MODEL = "EmbeddingService/fragile"
ILL_WITH_IT = (MODEL, "EmbeddingService", "")
WELL = ("EmbeddingService/steady", "SearchService", "CollectionService", "OperationService")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fragile")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LocalServer]:
    settings = {
        "cores": 3,  # a wedged lane or two leave one to the other models
        "models": {
            "fragile": {"family": "fragile", "source": str(folder)},
            "spare": {"family": "fragile", "source": str(folder), "preload": False},
            "steady": {"family": "hash"},
        },
        "health": {"interval_s": 0.2, "timeout_s": 1.5},
    }
    with pytest.MonkeyPatch.context() as patch:
        install(folder, patch)
        running = LocalServer(folder / "data", settings)
    with running:
        yield running
    assert running.process.returncode == 0, "\n".join(running.log)


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


@pytest.mark.parametrize("how", ["block", "block-prepare", "fail"])
def test_a_broken_model_is_told_and_so_is_its_recovery(
    server: LocalServer, client: Client, folder: Path, how: str
) -> None:
    with ExitStack() as stack:
        ill = [stack.enter_context(HealthWatch(server.address, name)) for name in ILL_WITH_IT]
        well = [stack.enter_context(HealthWatch(server.address, name)) for name in WELL]
        with broken(folder, how):
            for watch in ill:
                watch.until(False)
            assert client.embed("steady", texts=["still here"]).shape == (1, 64)
            time.sleep(0.3)
        for watch in ill:
            watch.until(True)
        assert [watch.heard for watch in ill] == [[True, False, True]] * len(ill)
        assert [watch.heard for watch in well] == [[True]] * len(well)
    assert client.embed("fragile", texts=["again"]).shape == (1, 64)


def test_a_lane_that_a_call_wedged_is_told_though_canaries_pass(
    server: LocalServer, client: Client, folder: Path
) -> None:
    with HealthWatch(server.address, MODEL) as watch:
        with broken(folder, "block-stuck"):
            caller = threading.Thread(
                target=client.embed, args=["fragile"], kwargs={"texts": ["stuck"]}
            )
            caller.start()
            watch.until(False)
            assert client.embed("fragile", texts=["another lane"]).shape == (1, 64)
        watch.until(True)
        caller.join()
    assert any("a batch has run for" in line for line in server.log)


def test_a_model_that_nobody_requires_makes_only_itself_ill(
    server: LocalServer, client: Client, folder: Path
) -> None:
    client.unload_model("fragile")
    client.load_model("spare")
    with (
        HealthWatch(server.address, "EmbeddingService/spare") as spare,
        HealthWatch(server.address, "EmbeddingService") as service,
    ):
        with broken(folder, "fail"):
            spare.until(False)
        spare.until(True)
        client.unload_model("spare")
        spare.until(False)
        client.load_model("fragile")
        assert service.heard == [True]


def test_a_process_that_was_stopped_is_not_ill(server: LocalServer, client: Client) -> None:
    with HealthWatch(server.address, "") as watch, HealthWatch(server.address, MODEL) as model:
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        server.process.send_signal(signal.SIGCONT)
        assert client.embed("fragile", texts=["awake"]).shape == (1, 64)
        time.sleep(0.5)
        assert (watch.heard, model.heard) == ([True], [True])
    assert any("event loop stood still" in line for line in server.log)


def test_overload_is_not_illness(tmp_path: Path) -> None:
    settings = {
        "models": {"toy": {"family": "hash", "options": {"dim": 4096}}},
        "limits": {"queue_cost": 400},
        "health": {"interval_s": 0.1, "timeout_s": 5.0},
    }
    refused: list[LatentspaceError] = []
    with LocalServer(tmp_path, settings) as server:
        end = time.monotonic() + 2.0

        def flood(number: int) -> None:
            with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
                turn = 0
                while time.monotonic() < end:
                    turn += 1
                    texts = [f"{number} {turn} {i} words anew" for i in range(32)]
                    try:
                        client.embed("toy", texts=texts)
                    except LatentspaceError as error:
                        refused.append(error)

        with HealthWatch(server.address, "") as watch:
            callers = [threading.Thread(target=flood, args=[i]) for i in range(24)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            assert watch.heard == [True]
    assert refused
    assert not any("canary failed" in line for line in server.log)


def test_a_process_whose_threads_hang_ends_nevertheless(tmp_path: Path) -> None:
    models = {"fragile": {"family": "fragile", "source": str(tmp_path)}}
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path, patch)
        server = LocalServer(tmp_path / "data", {"models": models, "drain_s": 0.2})
    with Client(server.address, timeout_s=1, retry=RetryPolicy(max_attempts=1)) as client:
        client.create_collection("kept", dim=2)
        client.upsert("kept", ids=["a"], vectors=[[1.0, 2.0]])
        with broken(tmp_path, "block"):
            with pytest.raises(LatentspaceError):
                client.embed("fragile", texts=["hangs"])
            assert server.stop() == 1
    assert any("work hangs" in line for line in server.log)
    with LocalServer(tmp_path / "data", {"models": {}}) as again, Client(again.address) as client:
        assert client.count("kept") == 1
