"""The examples as a newcomer runs them: each a process of its own, beside a real service."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.app.local import LocalServer

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Show = Callable[..., str]


@pytest.fixture(scope="session")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the service may train on."""
    return tmp_path_factory.mktemp("readable")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, readable: Path) -> Iterator[Run]:
    """Runs a script with arguments against one service on its embedded default."""
    data = tmp_path_factory.mktemp("examples")
    with LocalServer(data, {"roots": [str(readable)]}) as server:

        def run_script(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
                capture_output=True,
                text=True,
                timeout=120,
                env={**os.environ, "LATENTSPACE_SERVER": server.address, "PYTHONUTF8": "1"},
            )

        yield run_script


@pytest.fixture(scope="session")
def show(run: Run) -> Show:
    """What a script prints; it must end well."""

    def shown(script: str, *arguments: object) -> str:
        done = run(script, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return shown


@pytest.fixture(scope="session")
def photos(show: Show, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample photos, and a file that is none."""
    pytest.importorskip("skimage", reason="the sample photos come with scikit-image")
    pytest.importorskip("sklearn", reason="two sample photos come with scikit-learn")
    folder = tmp_path_factory.mktemp("photos")
    assert show("photos.py", folder).startswith("8 photos")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder
