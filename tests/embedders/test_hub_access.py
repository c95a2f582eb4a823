"""Look-ups on a hub that does not answer end within seconds; loading writes nothing by itself."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sentence_transformers", reason="sentence-transformers is missing")
pytest.importorskip("open_clip", reason="open_clip is missing")

SECONDS = 30
CODE = """
import json, sys, time
from embedders import load
from embedders.errors import ModelFormatError
found = []
for family, source in json.loads(sys.argv[1]):
    start = time.monotonic()
    try:
        load("m", family, source)
        error = ""
    except ModelFormatError as caught:
        error = str(caught)
    found.append((time.monotonic() - start, error))
print(json.dumps(found))
"""
SOURCES = [
    ["sentence", "BAAI/bge-small-en-v1.5"],
    ["clip", "hf-hub:timm/ViT-B-16-SigLIP"],
    ["clip", "ViT-B-32/laion2b_s34b_b79k"],
]


def run(models: list[list[str]], **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(models)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env={**clean, **environment},
    )  # fmt: skip


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["no such name", "nothing listens", "no answer"])
def test_no_network_is_said_at_once(kind: str, silent_server: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    endpoint = {
        "no such name": "https://hub.invalid",
        "nothing listens": f"http://127.0.0.1:{port}",
        "no answer": silent_server,
    }[kind]
    done = run(SOURCES, HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path))
    for seconds, error in json.loads(done.stdout):
        assert f"there is no network to download it ({endpoint}: " in error
        # the hub's own client takes minutes; this is wide, since the machine may be busy
        assert seconds < SECONDS
    assert "retry" not in done.stderr.lower()


def test_the_shipped_models_load_without_a_word() -> None:
    done = run([["sentence", ""], ["clip", ""], ["averaged", ""]])
    assert [error for _, error in json.loads(done.stdout)] == ["", "", ""]
    assert done.stderr == ""
