"""The start of the process: ports, models that fail, and what the log says meanwhile."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from latentspace import Client
from latentspace.errors import FailedPreconditionError, UnavailableError
from services.app.local import LocalServer

TOY = {"toy": {"family": "hash", "options": {"dim": 8}}}
BAD = {"family": "word2vec", "source": "/nowhere/vectors.bin"}
PROGRAM = Path(sys.executable).with_name("latentspace")
PATIENCE_S = 120.0
EMBEDDING = "latentspace.v1.EmbeddingService"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def written(folder: Path, settings: dict[str, Any]) -> Path:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def serve(folder: Path, settings: dict[str, Any], **environment: str) -> tuple[int, str]:
    """The exit code and all output of a server that does not come up."""
    done = subprocess.run(
        [PROGRAM, "serve", f"--config={written(folder, settings)}", f"--data-dir={folder / 'd'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout


@contextmanager
def starting(folder: Path, settings: dict[str, Any], **environment: str) -> Iterator[Path]:
    """A server that comes up or is coming up; gives the file of all its output."""
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                PROGRAM,
                "serve",
                f"--config={written(folder, settings)}",
                f"--data-dir={folder / 'd'}",
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    try:
        yield log
    finally:
        process.terminate()
        assert process.wait(40) == 0


def connect_when_bound(port: int) -> socket.socket:
    """The first connection that the port takes."""
    for _ in range(1200):
        try:
            return socket.create_connection(("127.0.0.1", port), 0.1)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"port {port} is not bound")


def first_answer(address: str) -> np.ndarray:
    """Asks until the server answers; before that nothing but UNAVAILABLE comes back."""
    end = time.monotonic() + PATIENCE_S
    with Client(address) as client:
        while True:
            try:
                return client.embed("sentences", texts=["hello"])
            except UnavailableError:
                assert time.monotonic() < end


def test_callers_of_a_server_that_loads_wait_for_the_first_answer(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "metrics_listen": f"127.0.0.1:{metrics}",
        "models": {"sentences": {"family": "sentence"}},
    }
    with starting(tmp_path, settings) as log:
        with connect_when_bound(port), connect_when_bound(metrics):
            assert "model loaded" not in log.read_text()
        assert first_answer(f"127.0.0.1:{port}").shape == (1, 384)
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as reply:
            assert b"latentspace_model_state" in reply.read()


@pytest.mark.parametrize("setting", ["listen", "metrics_listen"])
@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_taken_port_is_named_before_anything_is_loaded(
    tmp_path: Path, setting: str, format_: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"listen": "127.0.0.1:0", setting: address, "models": TOY}
        code, output = serve(tmp_path, settings, LATENTSPACE_LOG__FORMAT=format_)
    assert code == 1
    (line,) = output.splitlines()
    assert f"cannot listen on {address} (setting {setting}): address already in use" in line
    if format_ == "json":
        assert json.loads(line)["level"] == "error"


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    code, output = serve(tmp_path, {"listen": "192.0.2.1:50051", "models": TOY})
    assert code == 1
    assert "192.0.2.1:50051 (setting listen): cannot assign" in output


def health_of(server: LocalServer, name: str) -> int:
    with grpc.insecure_channel(server.address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status)


def test_one_bad_model_does_not_stop_the_others(tmp_path: Path) -> None:
    with LocalServer(tmp_path, {"models": {**TOY, "bad": BAD}}) as server:
        with Client(server.address) as client:
            assert client.embed("toy", texts=["x"]).shape == (1, 8)
            with pytest.raises(FailedPreconditionError, match=r"/nowhere/vectors\.bin"):
                client.embed("bad", keys=["x"])
            models = {model.id: model for model in client.models()}
            assert models["bad"].state == "failed"
            assert "/nowhere/vectors.bin" in models["bad"].state_reason
        assert health_of(server, "") == health_pb2.HealthCheckResponse.SERVING
        assert health_of(server, EMBEDDING) == health_pb2.HealthCheckResponse.SERVING
        assert health_of(server, f"{EMBEDDING}/bad") == health_pb2.HealthCheckResponse.NOT_SERVING
        table = subprocess.run(
            [PROGRAM, "--server", server.address, "models"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "bad: there is no file /nowhere/vectors.bin" in table.stderr
    events = [json.loads(line) for line in server.log]
    (told,) = [event for event in events if event["event"] == "model not loaded"]
    assert (told["level"], told["model"]) == ("error", "bad")


def test_a_required_model_that_fails_stops_the_start(tmp_path: Path) -> None:
    settings = {"listen": "127.0.0.1:0", "models": {**TOY, "bad": {**BAD, "required": True}}}
    code, output = serve(tmp_path, settings)
    assert code == 1
    assert "/nowhere/vectors.bin" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::]"])
def test_listening_beyond_this_machine_is_warned_of(tmp_path: Path, host: str) -> None:
    if host == "[::]" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        with LocalServer(tmp_path, {"models": {}}, listen=f"{host}:0") as server:
            levels = {json.loads(line)["level"] for line in server.log}
    except RuntimeError as error:
        if host == "[::]" and "address family" in str(error):
            pytest.skip(f"this machine has no IPv6: {error}")
        raise
    assert ("warning" in levels) == (host in ("0.0.0.0", "[::]"))


def ready(address: str) -> None:
    assert first_answer(address).shape == (1, 384)


def test_the_json_log_of_the_default_models_is_json_lines_and_nothing_else(
    tmp_path: Path,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    with starting(tmp_path, {"listen": address}, LATENTSPACE_LOG__FORMAT="json") as log:
        ready(address)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event["level"] for event in events} == {"info"}
    assert all(datetime.fromisoformat(event["time"]).tzinfo is not None for event in events)
    names = [event["event"] for event in events]
    assert names[-1] == "stopped"
    assert names.count("model loaded") == 5


def test_the_text_log_of_the_default_models_is_our_lines_and_nothing_else(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with starting(tmp_path, {"listen": address}) as log:
        ready(address)
    for line in log.read_text().splitlines():
        day, clock, level = line.split()[:3]
        assert datetime.fromisoformat(f"{day}T{clock}").tzinfo is not None
        assert level == "info"


NOISE = """
import ctypes, logging, os, subprocess, sys, threading, warnings
from services.app.logs import logging_to
from services.app.settings import LogSettings
with logging_to(LogSettings(format="json")):
    print("from print")
    os.write(2, b"from a file descriptor\\n")
    ctypes.CDLL(None).perror(b"from C")
    subprocess.run(["echo", "from a child"], check=True)
    sys.stderr.write("10 %\\r20 %\\r30 % drawn\\n")
    os.write(1, b"half a \\xff line")
    os.write(1, b" and its end\\n")
    warnings.warn("from a warning")
    logging.getLogger("services").info("odd", extra={"value": float("nan"), "text": "a\\nb\\ud800"})
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    logging.getLogger("services").info("last")
    raise OSError("the end")
"""
UNINSTALLED = """
import sys
sys.modules["faiss"] = None
from latentspace.cli import main
sys.argv = ["latentspace", "serve", "--listen=127.0.0.1:0"]
main()
"""


def test_whatever_prints_is_an_event_of_the_json_log() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOISE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    for text in ("from print", "from a file descriptor", "from a child", "30 % drawn"):
        assert text in events
    assert any(event.startswith("from C") for event in events)
    assert "half a \\xff line and its end" in events
    assert {"odd", "last", "a thread ended by a fault", "ended by a fault"} <= set(events)
    assert "NaN" not in done.stderr


def test_an_unknown_variable_stops_the_start_with_the_near_one(tmp_path: Path) -> None:
    code, output = serve(tmp_path, {"models": TOY}, LATENTSPACE_LIMIT__MAX_ITEMS="3")
    assert code == 2
    assert "LATENTSPACE_LIMITS__MAX_ITEMS" in output


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_server_without_faiss_says_which_extra_brings_it(format_: str) -> None:
    environment = {**os.environ, "LATENTSPACE_LOG__FORMAT": format_}
    done = subprocess.run(
        [sys.executable, "-c", UNINSTALLED],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'latentspace-server[cpu]'" in line
    assert line.startswith("{") == (format_ == "json")
