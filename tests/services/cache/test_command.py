"""`latentspace cache` and its settings."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from services.app.cache import app
from services.app.composition import redis_options
from services.app.settings import SettingsError, load_settings
from services.runtime.cache.values import pack
from services.runtime.encoding import Embedded
from tests.services.cache.redis_process import RedisProcess

SPACES = {"a" * 16: 2500, "b" * 16: 30}
ROW = Embedded(np.ones((1, 4), np.float32))


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch, redis_process: RedisProcess) -> None:
    monkeypatch.setenv("LATENTSPACE_CACHE__REDIS_URL", redis_process.url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def fill(process: RedisProcess) -> set[bytes]:
    """Entries of two spaces among keys of others; these."""
    with process.client() as client:
        entries = {
            f"ls1:{space}:float32:text:document:0.d:{i:032x}": pack("k", ROW)
            for space, count in SPACES.items()
            for i in range(count)
        }
        client.mset(entries)
        foreign = {"ls1": b"x", "ls1x:a:b": b"x", "session:ls1:a": b"x", "ls10:a:b": b"x"}
        client.mset(foreign)
        client.rpush("queue", "job")
        return {*map(str.encode, foreign), b"queue"}


def left(process: RedisProcess) -> set[bytes]:
    with process.client() as client:
        return set(client.scan_iter(count=1000))


def test_stats_count_entries_by_space(redis_process: RedisProcess) -> None:
    fill(redis_process)
    result = run("stats", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    size = len(pack("k", ROW))
    assert found["keys"] == sum(SPACES.values())
    assert found["bytes"] == sum(SPACES.values()) * size
    assert found["spaces"] == [
        {"space_id": space, "keys": count, "bytes": count * size} for space, count in SPACES.items()
    ]
    assert found["server_used_memory"] > found["bytes"]
    lines = run("stats").output.splitlines()
    assert f"keys\t{sum(SPACES.values())}" in lines
    assert f"{'b' * 16}\t30\t{30 * size}" in lines


def test_clear_leaves_the_keys_of_others(redis_process: RedisProcess) -> None:
    foreign = fill(redis_process)
    result = run("clear", "--space", "b" * 16, "--json")
    assert json.loads(result.output) == {"deleted": 30}
    kept = left(redis_process)
    assert len(kept) == len(foreign) + SPACES["a" * 16]
    assert not any(key.startswith(b"ls1:bb") for key in kept)
    assert run("clear").output == f"deleted {SPACES['a' * 16]} entries\n"
    assert left(redis_process) == foreign
    assert run("clear").output == "deleted 0 entries\n"
    assert json.loads(run("stats", "--json").output)["keys"] == 0


@pytest.mark.parametrize("space", ["*", "a*", "a:b", "[ab]", "A"])
def test_a_space_is_no_pattern(redis_process: RedisProcess, space: str) -> None:
    fill(redis_process)
    assert run("clear", "--space", space).exit_code == 2
    assert redis_process.entries() == sum(SPACES.values())


def test_no_redis_is_told_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LATENTSPACE_CACHE__REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    result = run("stats")
    assert result.exit_code == 3
    assert "secret" not in result.output
    monkeypatch.delenv("LATENTSPACE_CACHE__REDIS_URL")
    result = run("stats")
    assert result.exit_code == 2
    assert "cache.redis_url" in result.output
    config = tmp_path / "config.yaml"
    config.write_text("cache: {redis_url: 'redis://127.0.0.1:1/0'}")
    assert run("clear", "--config", str(config)).exit_code == 3


def test_settings_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSPACE_CACHE__TTL_S", "60")
    monkeypatch.setenv("LATENTSPACE_CACHE__WRITE_MIB", "1")
    monkeypatch.setenv(
        "LATENTSPACE_CACHE__REDIS_URL", "rediss://user:secret@host:1/2?password=secret"
    )
    settings = load_settings()
    assert "secret" not in repr(settings)
    options = redis_options(settings.cache)
    assert options is not None
    assert (options.ttl_s, options.max_waiting_bytes, options.timeout_s) == (60, 1 << 20, 0.05)
    assert options.address == "rediss://host:1/2"


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis://", "unix://", "redis://h:secret"]
)
def test_an_url_that_is_none_of_redis_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LATENTSPACE_CACHE__REDIS_URL", url)
    with pytest.raises(SettingsError, match=r"cache\.redis_url") as caught:
        load_settings()
    assert "secret" not in str(caught.value)
