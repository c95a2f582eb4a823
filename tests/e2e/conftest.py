"""The embedded default, as `latentspace serve` starts it."""

from collections.abc import Iterator

import pytest

from latentspace import Client
from services.app.local import LocalServer


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("embedded")) as running:
        yield running


@pytest.fixture
def ls(embedded: LocalServer) -> Iterator[Client]:
    with Client(embedded.address) as opened:
        yield opened
