"""Redis killed, paused and started again under load: no call fails, none waits long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from embedders.hashing import HashEncoder
from latentspace import Client
from services.app.local import LocalServer
from tests.services.cache.redis_process import RedisProcess, running_redis

DIM, CLIENTS, BATCH, TEXTS = 64, 4, 8, 200
PATIENCE_S = 60.0
# The documented bound is 50 ms; a busy machine adds its own.
LONGEST_S = 2.0
WORDS = [f"sentence number {i} of the load" for i in range(TEXTS)]
MODELS = {"toy": {"family": "hash", "options": {"dim": DIM}}}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[RedisProcess]:
    with running_redis(tmp_path) as running:
        yield running


@contextmanager
def serving(folder: Path, url: str) -> Iterator[LocalServer]:
    """A server that asks Redis for everything: none of its memory comes before."""
    cache = {"redis_url": url, "memory_mib": 0, "retry_s": 0.2}
    with LocalServer(folder / "data", {"models": MODELS, "cache": cache}) as server:
        yield server


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Rows without any server."""
    from embedders import Item, Modality
    from embedders.base import Prepared

    encoder = HashEncoder.load("toy", "", {"dim": DIM})
    prepared = encoder.prepare_batch([Item(Modality.TEXT, text) for text in WORDS])
    return encoder.encode([one for one in prepared if isinstance(one, Prepared)]).rows


@dataclass
class Load:
    """Clients that ask again and again for the same texts, and check every answer."""

    address: str
    expected: np.ndarray
    faults: list[str] = field(default_factory=list)
    calls: list[tuple[float, float]] = field(default_factory=list)
    frozen: list[tuple[float, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with Client(self.address) as client:
            while not self.stop.is_set():
                chosen = rng.integers(0, TEXTS, BATCH)
                started = time.monotonic()
                try:
                    rows = client.embed("toy", texts=[WORDS[i] for i in chosen])
                except Exception as error:
                    self.faults.append(repr(error))
                    continue
                self.calls.append((started, time.monotonic()))
                if not np.array_equal(rows, self.expected[chosen]):
                    self.faults.append("other rows")

    def watch(self) -> None:
        """Sees when the machine itself stood still: no fault of the service."""
        before = time.monotonic()
        while not self.stop.is_set():
            time.sleep(0.02)
            now = time.monotonic()
            if now - before > LONGEST_S / 2:
                self.frozen.append((before, now))
            before = now

    def longest_s(self) -> float:
        """Of the calls, without the time in which the machine stood still."""
        return max(
            end - start - sum(max(0.0, min(end, b) - max(start, a)) for a, b in self.frozen)
            for start, end in self.calls
        )

    def wait_for(self, calls: int) -> None:
        """Until so many more calls were answered."""
        wanted, end = len(self.calls) + calls, time.monotonic() + PATIENCE_S
        while len(self.calls) < wanted:
            assert time.monotonic() < end, f"{len(self.calls)} calls; {self.faults[:3]}"
            time.sleep(0.02)


@contextmanager
def load(server: LocalServer, expected: np.ndarray) -> Iterator[Load]:
    running = Load(server.address, expected)
    threads = [threading.Thread(target=running.run, args=[i]) for i in range(CLIENTS)]
    threads.append(threading.Thread(target=running.watch))
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.stop.set()
        for thread in threads:
            thread.join()
    assert running.faults == []
    assert running.longest_s() < LONGEST_S


def hits(process: RedisProcess) -> int:
    with process.client() as client:
        return int(client.info("stats")["keyspace_hits"])


def wait_for_hits(process: RedisProcess, more: int = 500) -> None:
    """Until Redis, as it itself counts, has answered so many more keys."""
    end = time.monotonic() + PATIENCE_S
    wanted = hits(process) + more
    while hits(process) < wanted:
        assert time.monotonic() < end, f"{hits(process)} hits of {wanted}"
        time.sleep(0.05)


def said(server: LocalServer, what: str) -> int:
    return sum(what in line for line in server.log)


def wait_until_said(server: LocalServer, what: str, times: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while said(server, what) < times:
        assert time.monotonic() < end, server.log[-5:]
        time.sleep(0.02)


def test_killed_paused_and_restarted_under_load(
    process: RedisProcess, tmp_path: Path, expected: np.ndarray
) -> None:
    with serving(tmp_path, process.url) as server, load(server, expected) as clients:
        wait_for_hits(process)
        for round_ in (1, 2):
            process.pause()
            wait_until_said(server, "cache does not answer", 2 * round_ - 1)
            clients.wait_for(200)
            process.go_on()
            wait_until_said(server, "cache answers again", 2 * round_ - 1)
            wait_for_hits(process)

            process.kill()
            wait_until_said(server, "cache does not answer", 2 * round_)
            clients.wait_for(200)
            process.start()
            wait_until_said(server, "cache answers again", 2 * round_)
            # empty after its start: filled again by itself
            wait_for_hits(process)
            assert process.entries() > TEXTS // 2
    assert said(server, "Traceback") == 0


def test_a_server_starts_without_its_redis(
    process: RedisProcess, tmp_path: Path, expected: np.ndarray
) -> None:
    process.kill()
    with serving(tmp_path, process.url) as server, load(server, expected) as clients:
        assert said(server, "cache does not answer") == 1
        clients.wait_for(100)
        process.start()
        wait_for_hits(process)


def test_servers_share_rows_and_tell_hits_by_their_times(
    process: RedisProcess, tmp_path: Path, expected: np.ndarray
) -> None:
    for folder, is_hit in ((tmp_path / "one", False), (tmp_path / "two", True)):
        with serving(folder, process.url) as server, Client(server.address) as client:
            found = client.embed_batch("toy", texts=WORDS)
            np.testing.assert_array_equal(found.rows, expected)
            assert (found.timing.encode_ns == 0) is is_hit
            wait_for_entries(process, TEXTS)


def wait_for_entries(process: RedisProcess, count: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while process.entries() < count:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_default_remembers_in_its_own_memory(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path / "data", {"models": MODELS}) as server,
        Client(server.address) as client,
    ):
        first = client.embed_batch("toy", texts=["a", "b"])
        again = client.embed_batch("toy", texts=["b", "a"])
    assert first.timing.encode_ns > 0
    assert again.timing.encode_ns == 0
    np.testing.assert_array_equal(again.rows, first.rows[::-1])


def test_an_unfit_url_refuses_the_start_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"cache\.redis_url") as caught:
        LocalServer(tmp_path, {"models": MODELS, "cache": {"redis_url": "http://:secret@host"}})
    assert "secret" not in str(caught.value)
