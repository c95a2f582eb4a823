"""A fake server for each test, and both clients of it."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from latentspace import AsyncClient, Client
from tests.client.fake.server import register_world, serving
from tests.client.fake.world import World


class Blocking:
    """An `AsyncClient` that is called like a `Client`, so that one test speaks of both."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = AsyncClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            made = method(*args, **options)
            made = collected(made) if inspect.isasyncgen(made) else made
            return asyncio.run_coroutine_threadsafe(made, self._loop).result(60)

        return call

    def __enter__(self) -> "Blocking":
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in stream]


KINDS: dict[str, type[Any]] = {"sync": Client, "async": Blocking}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with serving(register_world(world)) as address:
        yield address


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> type[Client]:
    """Makes a client of either kind."""
    return cast(type[Client], KINDS[request.param])


@pytest.fixture
def client(address: str, make: type[Client]) -> Iterator[Client]:
    with make(address) as client:
        yield client


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the packaged models `sentences` and `clip`."""
    local = pytest.importorskip("services.app.local", reason="the server is not installed")
    settings = {"models": {"sentences": {"family": "sentence"}, "clip": {"family": "clip"}}}
    with local.LocalServer(tmp_path_factory.mktemp("shipped"), settings) as server:
        yield server.address


@pytest.fixture
async def async_client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address) as client:
        yield client
