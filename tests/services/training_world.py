"""A server that may read one folder, and what lies in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from latentspace import Client
from services.app.local import LocalServer

CHILD = "services.runtime.child"
WORDS = [f"w{i}" for i in range(50)]


def corpus(path: Path, lines: int = 300, seed: int = 0) -> Path:
    """Random sentences of fifty words."""
    rng = np.random.default_rng(seed)
    text = "\n".join(" ".join(rng.choice(WORDS, 12)) for _ in range(lines))
    path.write_text(text)
    return path


@contextmanager
def serving(folder: Path, data: str = "data") -> Iterator[tuple[LocalServer, Client]]:
    """A server whose only root is folder/shared."""
    (folder / "shared").mkdir(exist_ok=True)
    settings = {
        "models": {
            "toy": {"family": "hash", "options": {"dim": 16}},
            "later": {"family": "hash", "preload": False},
        },
        "roots": [str(folder / "shared")],
        "cores": 1,
    }
    with LocalServer(folder / data, settings) as server, Client(server.address) as client:
        yield server, client


def children(server: LocalServer) -> list[psutil.Process]:
    """Child processes of jobs that run."""
    found = psutil.Process(server.process.pid).children(recursive=True)
    return [child for child in found if CHILD in " ".join(child.cmdline())]


def until(true: Callable[[], object], seconds: float = 200.0) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
