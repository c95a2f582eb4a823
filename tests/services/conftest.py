"""A real server process with weightless models and a small vocabulary."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from gensim.models import KeyedVectors

from latentspace import Client
from services.app.local import LocalServer

DIM = 16


@pytest.fixture(scope="session")
def keyed() -> KeyedVectors:
    """600 random words, as gensim holds them."""
    rng = np.random.default_rng(7)
    vectors = KeyedVectors(25, count=0)
    vectors.add_vectors(
        [f"word{i}" for i in range(600)], rng.standard_normal((600, 25)).astype(np.float32)
    )
    return vectors


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, keyed: KeyedVectors) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("server")
    path = folder / "words.bin"
    keyed.save_word2vec_format(str(path), binary=True)
    settings = {
        "models": {
            "words": {"family": "word2vec", "source": str(path)},
            "unloaded-words": {"family": "word2vec", "source": str(path), "preload": False},
            "toy": {"family": "hash", "options": {"dim": DIM}},
            "other": {"family": "hash", "options": {"dim": DIM, "seed": "another"}},
            "later": {"family": "hash", "preload": False},
            "broken": {"family": "word2vec", "source": str(folder / "no.bin"), "preload": False},
        },
        "limits": {"max_items": 2000},
    }
    with LocalServer(Path(folder / "data"), settings) as running:
        yield running
    assert running.process.returncode == 0, "\n".join(running.log)


@pytest.fixture
def channel(server: LocalServer) -> Iterator[grpc.Channel]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.address, options=options) as opened:
        yield opened


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A collection name of the test's own."""
    return "c" + format(abs(hash(request.node.nodeid)), "x")[:12]
