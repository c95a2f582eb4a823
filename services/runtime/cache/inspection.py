"""What is in Redis, and taking it out again. Only keys of ours are looked at or deleted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import redis

from services.runtime.cache.keys import PREFIX

# Keys of one step: Redis serves others between two of them.
STEP = 1000


@dataclass(slots=True)
class Inventory:
    """Entries in Redis: counts and bytes of values, by space.

    While Redis grows or shrinks its table, a key may be seen twice.
    """

    keys: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)


def take_stock(client: redis.Redis) -> Inventory:
    """All entries, step by step; the values stay where they are."""
    found = Inventory()
    for keys in steps(client):
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.strlen(key)
        sizes = pipeline.execute(raise_on_error=False)
        for key, size in zip(keys, sizes, strict=True):
            space = key.split(b":", 2)[1].decode(errors="replace")
            found.keys[space] += 1
            # a key of another kind than ours has no length
            found.bytes[space] += size if isinstance(size, int) else 0
    return found


def clear(client: redis.Redis, space: str = "") -> int:
    """Deletes entries, of one space or all, and tells how many; Redis frees them beside its work.

    Args:
        space: hexadecimal digits.
    """
    return sum(int(client.unlink(*keys)) for keys in steps(client, space))


def steps(client: redis.Redis, space: str = "") -> Iterator[list[bytes]]:
    """Keys of entries, some at a time."""
    pattern = f"{PREFIX}:{space}:*" if space else f"{PREFIX}:*:*"
    keys = client.scan_iter(match=pattern, count=STEP)
    while step := list(islice(keys, STEP)):
        yield step


def server_figures(client: redis.Redis) -> Mapping[str, Any]:
    """What Redis says of itself; its hits and misses are those of all its users."""
    info: Mapping[str, Any] = client.info()
    names = ("keyspace_hits", "keyspace_misses", "evicted_keys", "used_memory", "maxmemory")
    return {f"server_{name}": info.get(name, 0) for name in names} | {
        "server_maxmemory_policy": info.get("maxmemory_policy", "")
    }
