"""The life of the process: refusals with their cure, and drain."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from latentspace import Client
from latentspace.errors import LatentspaceError
from services.app.local import LocalServer

TOY = {"models": {"toy": {"family": "hash", "options": {"dim": 8}}}}
PROGRAM = Path(sys.executable).with_name("latentspace")


def serve(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, "serve", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_second_server_on_one_data_folder_is_refused_with_the_first_ones_pid(
    tmp_path: Path,
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("models: {}\n")
    with LocalServer(tmp_path / "data", {"models": {}}) as first:
        second = serve(
            f"--config={config}", f"--data-dir={tmp_path / 'data'}", "--listen=127.0.0.1:0"
        )
    assert second.returncode == 1
    assert str(first.process.pid) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_named_with_its_cure(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("models: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = serve(f"--config={config}", f"--data-dir={tmp_path / 'd'}", f"--listen={address}")
    assert done.returncode == 1
    assert address in done.stderr
    assert "--listen" in done.stderr


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("listen: nowhere\n", "listen"),
        ("colour: red\n", "colour"),
        ("models: {a: {}}\n", "models.a.family"),
        ("limits: {max_items: 0}\n", "limits.max_items"),
        ("- a list\n", "mapping"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path: Path, yaml: str, said: str) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml)
    done = serve(f"--config={config}")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_family_that_is_unknown_ends_the_start(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("models: {a: {family: soup}}\n")
    done = serve(f"--config={config}", f"--data-dir={tmp_path / 'd'}", "--listen=127.0.0.1:0")
    assert done.returncode == 1
    assert "soup" in done.stderr
    assert "word2vec" in done.stderr


def test_variables_are_under_options_and_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("models: {}\nlisten: nowhere\n")
    done = serve(f"--config={config}", LATENTSPACE_LISTEN="also nowhere")
    assert "also nowhere" in done.stderr


def test_sigterm_lets_running_calls_end(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data", TOY)
    replies: list[np.ndarray | Exception] = []

    def embed() -> None:
        with Client(server.address) as client:
            try:
                replies.append(client.embed("toy", texts=["some words here " * 40] * 1900))
            except LatentspaceError as error:
                replies.append(error)

    caller = threading.Thread(target=embed)
    caller.start()
    time.sleep(0.05)
    assert server.stop() == 0
    caller.join()
    assert any('"event": "draining"' in line for line in server.log)
    assert any('"event": "stopped"' in line for line in server.log)
    assert len(replies) == 1
