"""Writers that are cut off at any moment, and what must be there afterwards.

A point is told by the writes that made it: payload `v` is the number of the write that gave its
vector, `n` of the one that last touched its payload. So what is stored can be read back as a
state, {slot: (v, n)}, and compared with the states that a writer has gone through.
"""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace import Client
from latentspace.calls import RetryPolicy
from latentspace.errors import LatentspaceError, NotFoundError, PartialError, UnavailableError

DIM = 16
TAGS = 5
FIELDS = {"writer": "int", "slot": "int", "v": "int", "n": "int", "tag": "keyword"}
KINDS = ["upsert"] * 5 + ["patch"] * 2 + ["delete", "sweep"]
# a write that is tried again could be carried out in the next life
ONCE = RetryPolicy(max_attempts=1)

Numbers = int | NDArray[np.int64]
State = dict[int, tuple[int, int]]
Rows = NDArray[np.float32]


def clustered(seed: int, size: int) -> Rows:
    """float32 (size, DIM) about a hundred centres, as vectors of real things lie."""
    centres = np.random.default_rng(20).standard_normal((100, DIM), dtype=np.float32)
    chance = np.random.default_rng(seed)
    noise = chance.standard_normal((size, DIM), dtype=np.float32)
    return np.asarray(centres[chance.integers(0, 100, size)] + 0.4 * noise, np.float32)


_ROWS = clustered(21, 100_003)


def vectors(writer: Numbers, number: Numbers, slots: NDArray[np.int64]) -> Rows:
    """float32 (slots, DIM) of one write, or each of its own."""
    places = slots * 31 + writer * 7919 + number * 104_729
    return np.asarray(_ROWS[places % len(_ROWS)])


def payload(writer: int, slot: int, number: int) -> dict[str, Any]:
    """Payload of a point as an upsert writes it; `note` is not declared."""
    origin = {"writer": writer, "slot": slot, "v": number, "note": "é" * (slot % 7)}
    return origin | change(number)


def change(number: int) -> dict[str, Any]:
    """What a payload update merges."""
    return {"n": number, "tag": f"t{number % TAGS}"}


@dataclass(frozen=True, slots=True)
class Write:
    """One call: upsert, patch, delete or sweep (delete by filter) of a run of slots."""

    number: int
    kind: str
    slots: range

    def applied(self, state: State) -> State:
        """The state after it."""
        match self.kind:
            case "upsert":
                return state | dict.fromkeys(self.slots, (self.number, self.number))
            case "patch":
                known = state.keys() & set(self.slots)
                return state | {slot: (state[slot][0], self.number) for slot in known}
        gone = set(self.slots)
        return {slot: point for slot, point in state.items() if slot not in gone}


@dataclass(slots=True)
class Writer:
    """Writes points of its own in a collection, until the server has gone.

    Args:
        slots: so many different ids.
        base: what was there when the server was started.
        begun: writes of this life; all but perhaps the last are acknowledged.
    """

    collection: str
    number: int
    slots: int
    base: State = field(default_factory=dict)
    begun: list[Write] = field(default_factory=list)
    acknowledged: int = 0
    total: int = 0
    broken: Exception | None = None

    def fill(self, client: Client) -> None:
        """Every slot once."""
        write = Write(self._next(), "upsert", range(self.slots))
        self._send(client, write)
        self.base = write.applied(self.base)

    def run(self, address: str, chance: random.Random) -> None:
        """Writes until the connection breaks; any other failure is kept as `broken`."""
        try:
            with Client(address, retry=ONCE) as client:
                while True:
                    self._one(client, chance)
        except UnavailableError:
            return
        except (LatentspaceError, AssertionError) as error:
            self.broken = error

    def states(self, first: int, last: int) -> Iterator[State]:
        """States after so many of this life's writes, from `first` to `last`."""
        state = self.base
        for write in self.begun[:first]:
            state = write.applied(state)
        yield state
        for write in self.begun[first:last]:
            state = write.applied(state)
            yield state

    def settle(self, stored: State) -> None:
        """Begins a new life with what is stored, where that is what may be there.

        Raises:
            AssertionError: an acknowledged write is missing, or something was never sent.
        """
        assert self.broken is None, self.broken
        possible = list(self.states(self.acknowledged, len(self.begun)))
        assert stored in possible, difference(stored, possible[0])
        self.base, self.begun, self.acknowledged = stored, [], 0

    def _one(self, client: Client, chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        size = chance.choice([1, 20, 200, 400])
        first = chance.randrange(self.slots)
        write = Write(self._next(), kind, range(first, min(self.slots, first + size)))
        self.begun.append(write)
        self._send(client, write)
        self.acknowledged += 1

    def _next(self) -> int:
        self.total += 1
        return self.total

    def _send(self, client: Client, write: Write) -> None:
        ids = [name(self.number, slot) for slot in write.slots]
        match write.kind:
            case "upsert":
                payloads = [payload(self.number, slot, write.number) for slot in write.slots]
                rows = vectors(self.number, write.number, np.array(write.slots))
                client.upsert(self.collection, ids, vectors=rows, payloads=payloads)
            case "patch":
                try:
                    client.update_payload(self.collection, ids=ids, payload=change(write.number))
                except (PartialError, NotFoundError):
                    # ids of points that are deleted; the others changed
                    return
            case "delete":
                client.delete(self.collection, ids=ids)
            case "sweep":
                span = {"gte": write.slots.start, "lt": write.slots.stop}
                client.delete(self.collection, filter={"writer": self.number, "slot": span})


def name(writer: int, slot: int) -> str:
    """Id of a point."""
    return f"w{writer}-{slot}"


def difference(stored: State, expected: State) -> str:
    """What is wrong, shortly."""
    missing = sorted(expected.keys() - stored.keys())
    extra = sorted(stored.keys() - expected.keys())
    other = [s for s in stored.keys() & expected.keys() if stored[s] != expected[s]]
    changed = list(islice(((s, stored[s], expected[s]) for s in other), 3))
    return (
        f"{len(missing)} missing {missing[:3]}, {len(extra)} not expected {extra[:3]},"
        f" {len(other)} others (slot, stored, expected) {changed}"
    )


@dataclass(frozen=True, slots=True)
class Archive:
    """A snapshot that was asked for; by writer, how many writes it holds at least and at most."""

    collection: str
    least: dict[int, int]
    most: dict[int, int]


@dataclass(slots=True)
class Archivist:
    """Takes snapshots of the collections in turn until the server has gone."""

    writers: list[Writer]
    taken: dict[str, Archive] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    broken: Exception | None = None

    def run(
        self, address: str, life: int, first: int, pause_s: float, stop: threading.Event
    ) -> None:
        """One snapshot after another from the `first` collection on, and optimisations between."""
        collections = list(dict.fromkeys(writer.collection for writer in self.writers))
        try:
            with Client(address, retry=ONCE) as client:
                for number in count(first):
                    self._take(client, collections[number % len(collections)], f"s{life}-{number}")
                    if stop.wait(pause_s):
                        return
                    client.optimize(collections[-1 - number % len(collections)], wait=False)
        except UnavailableError:
            return
        except LatentspaceError as error:
            self.broken = error

    def close(self) -> None:
        """After the kill: what was under way may hold all that was begun."""
        assert self.broken is None, self.broken
        for key, archive in self.taken.items():
            if key not in self.finished:
                archive.most.update(self._begun(archive.collection))

    def _take(self, client: Client, collection: str, key: str) -> None:
        own = [writer for writer in self.writers if writer.collection == collection]
        archive = Archive(collection, {w.number: w.acknowledged for w in own}, {})
        self.taken[key] = archive
        client.snapshot(collection, key)
        archive.most.update(self._begun(collection))
        self.finished.add(key)

    def _begun(self, collection: str) -> dict[int, int]:
        return {w.number: len(w.begun) for w in self.writers if w.collection == collection}
