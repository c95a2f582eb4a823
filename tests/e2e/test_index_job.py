"""A job that is killed, and whose server is killed, at random, ends as an undisturbed one."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latentspace import Client, LatentspaceError
from services.app.local import LocalServer

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
SEED = int(os.environ.get("LATENTSPACE_SEED") or 1)
KILLS = 40 if LONG else 8
LINES = 40_000 if LONG else 12_000
SETTINGS = {"models": {"toy": {"family": "hash", "options": {"dim": 32}}}}
INDEX = str(Path(sys.executable).with_name("latentspace"))


UNREACHABLE = 3  # exit code


class Server:
    """A server that is killed and started again at one address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder
        self.running = self._start()

    def restart(self) -> None:
        self.running.kill()
        self.running = self._start()

    def _start(self) -> LocalServer:
        return LocalServer(self._folder, SETTINGS, listen=self.address)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "data")
    yield made
    assert made.running.stop() == 0, "\n".join(made.running.log)


def job(server: Server, source: Path, collection: str, *more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(INDEX, "index", str(source), "--collection", collection, "--model", "toy"),
            *("--batch", "100", "--server", server.address, *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(running: "subprocess.Popen[bytes]") -> str:
    printed = running.communicate(timeout=300)[0].decode()
    assert running.returncode == 0, printed
    return printed


def contents(client: Client, name: str) -> dict[str, tuple[Any, list[float]]]:
    found: dict[str, tuple[Any, list[float]]] = {}
    for one in client.scroll(name, with_vectors=True):
        assert one.id not in found, "a point that is there twice"
        assert one.vector is not None
        found[one.id] = (one.payload, one.vector.tolist())
    return found


def test_killed_jobs_and_servers_lose_and_double_nothing(server: Server, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    source = tmp_path / "lines.txt"
    lines = [f"line {i} says {chance.random()}" for i in range(LINES)]
    source.write_text("\n".join(lines))
    killed = {"job": 0, "server": 0}
    running = job(server, source, "shaken")
    while sum(killed.values()) < KILLS:
        time.sleep(chance.uniform(0.1, 1.2))
        if running.poll() is not None:  # it came to its end between two kills
            # other lines have changed when it begins again
            for place in chance.sample(range(len(lines)), len(lines) // 20):
                lines[place] += " again"
            lines = lines[: -LINES // 50] + [f"new {chance.random()}" for _ in range(LINES // 100)]
            source.write_text("\n".join(lines))
        elif chance.random() < 0.5:
            killed["job"] += 1
            running.send_signal(signal.SIGKILL)
            running.wait()
        else:
            killed["server"] += 1
            server.restart()
            continue  # the job waits for it
        running = job(server, source, "shaken", "--delete-missing")
    running.wait()
    if running.returncode == UNREACHABLE:  # it had not begun when the server was killed
        running = job(server, source, "shaken", "--delete-missing")
    finish(running)
    finish(job(server, source, "shaken", "--delete-missing"))
    finish(job(server, source, "calm"))
    with Client(server.address) as client:
        shaken, calm = contents(client, "shaken"), contents(client, "calm")
        assert len(calm) == len(lines)
        assert shaken == calm
    print(f"\n{killed}; LATENTSPACE_SEED={SEED} repeats the choices")
    assert min(killed.values()) > 0


def test_ctrl_c_ends_a_job_that_goes_on_later(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "lines.txt"
    source.write_text("\n".join(f"line {i}" for i in range(20_000)))
    running = job(server, source, "stopped")
    with Client(server.address) as client:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(LatentspaceError):
                if client.count("stopped") > 500:
                    break
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        printed = running.communicate(timeout=60)[0].decode()
        assert running.returncode == 130, printed
        assert "run it again" in printed
        assert "Traceback" not in printed
        written = client.count("stopped")
        assert written > 500
        finish(job(server, source, "stopped"))
        assert client.count("stopped") == 20_000
