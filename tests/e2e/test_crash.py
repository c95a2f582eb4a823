"""A real server, killed again and again while it is written to, sealed and saved.

Threads write points of their own to four collections while segments are sealed, merged, built and
compacted and snapshots are taken; SIGKILL comes at a random moment. Then: every acknowledged
write is there, the one under way whole or not at all, nothing else; count, list, get and searches
agree with numpy; every listed snapshot restores to a moment between its beginning and its end.
"""

import os
import random
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from latentspace import Client
from latentspace.enums import CollectionState
from services.app.local import LocalServer
from tests.e2e import checking
from tests.e2e.crashing import DIM, FIELDS, Archive, Archivist, Writer

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
ROUNDS = int(os.environ.get("LATENTSPACE_CRASH_ROUNDS") or (50 if LONG else 5))
SETTINGS = {"models": {}, "index": {"seal_rows": 700}}
METRICS = {"graph": "cosine", "lists": "l2", "codes": "dot", "plain": "l2"}
RECIPES = {"graph": "hnsw", "lists": "ivf", "codes": "ivf_pq", "plain": "exact"}
# codes are trained from 20,000 rows on
SLOTS = {"graph": 3000, "lists": 3000, "codes": 14_000, "plain": 1500}
WRITERS_EACH = 2
SNAPSHOT_PAUSE_S = 0.5


@dataclass(slots=True)
class Figures:
    """What a run went through."""

    kills: int = 0
    acknowledged: int = 0
    in_flight: int = 0
    snapshots: int = 0
    indexed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Scene:
    """One data folder over the lives of its server."""

    folder: Path
    chance: random.Random
    writers: list[Writer]
    figures: Figures = field(default_factory=Figures)
    kept: dict[str, tuple[str, checking.States]] = field(default_factory=dict)

    def of(self, collection: str) -> list[Writer]:
        return [writer for writer in self.writers if writer.collection == collection]

    def begin(self, client: Client) -> None:
        """Collections, filled and indexed."""
        for collection, recipe in RECIPES.items():
            metric = METRICS[collection]
            client.create_collection(
                collection, dim=DIM, recipe=recipe, metric=metric, fields=FIELDS
            )
        for writer in self.writers:
            writer.fill(client)
        client.optimize("codes", full=True)

    def live_and_die(self, server: LocalServer, life: int) -> Archivist:
        """Writes and snapshots until SIGKILL."""
        archivist, stop = Archivist(self.writers), threading.Event()
        first = self.chance.randrange(len(RECIPES))
        archive = (server.address, life, first, SNAPSHOT_PAUSE_S, stop)
        threads = [threading.Thread(target=archivist.run, args=archive)]
        for writer in self.writers:
            chance = random.Random(self.chance.random())
            threads.append(threading.Thread(target=writer.run, args=(server.address, chance)))
        for thread in threads:
            thread.start()
        stop.wait(self.chance.uniform(0.3, 2.2))
        assert server.kill() == -signal.SIGKILL
        stop.set()
        for thread in threads:
            thread.join()
        archivist.close()
        self.figures.kills += 1
        return archivist

    def check(self, client: Client, archivist: Archivist) -> None:
        """Everything, on the server that came after."""
        self.check_snapshots(client, archivist.taken)
        for collection, metric in METRICS.items():
            stored = checking.read(client, collection, metric)
            own = self.of(collection)
            self.figures.in_flight += sum(len(w.begun) - w.acknowledged for w in own)
            self.figures.acknowledged += checking.settle(stored, own)
            checking.check(client, collection, metric, stored, self.chance)
            if self.chance.random() < 0.3:
                self.check_optimized(client, collection, metric, stored)

    def check_optimized(
        self, client: Client, collection: str, metric: str, stored: checking.Stored
    ) -> None:
        """The same points once every segment has been merged and indexed."""
        client.optimize(collection, full=True)
        checking.check(client, collection, metric, stored, self.chance)
        info = client.collection(collection)
        assert (info.points, info.state) == (len(stored.ids), CollectionState.READY)
        (segment,) = info.segments
        self.figures.indexed.add(segment.recipe)

    def check_all_optimized(self, client: Client) -> None:
        """The last look."""
        for collection, metric in METRICS.items():
            stored = checking.read(client, collection, metric)
            self.check_optimized(client, collection, metric, stored)

    def check_snapshots(self, client: Client, taken: dict[str, Archive]) -> None:
        """Restores what this life has left, and one of an earlier life."""
        assert not list(self.folder.glob("snapshots/*.new"))
        assert not list(self.folder.glob("collections/*/.snapshot-*"))
        listed = {snapshot.name: snapshot for snapshot in client.snapshots()}
        earlier = sorted(self.kept)
        assert set(earlier) <= listed.keys() <= {*earlier, *taken}
        for key in sorted(listed.keys() - self.kept.keys()):
            collection = taken[key].collection
            states = self.restored(client, key, collection)
            # killed between archive and card, it is listed without its figures
            assert listed[key].points in (0, sum(map(len, states.values())))
            self.check_moment(key, states, taken[key])
            self.kept[key] = collection, states
        if earlier:
            key = self.chance.choice(earlier)
            collection, states = self.kept[key]
            assert self.restored(client, key, collection) == states, key

    def restored(self, client: Client, key: str, collection: str) -> checking.States:
        """What a snapshot holds; the restored collection answers as others do."""
        metric = METRICS[collection]
        client.restore(key, "restored")
        stored = checking.read(client, "restored", metric)
        checking.check(client, "restored", metric, stored, self.chance)
        client.delete_collection("restored")
        self.figures.snapshots += 1
        return stored.states()

    def check_moment(self, key: str, states: checking.States, archive: Archive) -> None:
        """Each writer's part is as it was after one of the writes of that time."""
        for writer in self.of(archive.collection):
            number = writer.number
            moments = writer.states(archive.least[number], archive.most[number])
            assert states.get(number, {}) in list(moments), f"snapshot {key}, writer {number}"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    seed = int(os.environ.get("LATENTSPACE_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"to repeat the choices of this run: LATENTSPACE_SEED={seed}")
    places = [name for name in RECIPES for _ in range(WRITERS_EACH)]
    writers = [Writer(name, number, SLOTS[name]) for number, name in enumerate(places)]
    return Scene(tmp_path / "data", random.Random(seed), writers)


@pytest.mark.long
@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_what_was_acknowledged_survives_sigkill(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    server = LocalServer(scene.folder, SETTINGS)
    try:
        with Client(server.address) as client:
            scene.begin(client)
        for life in range(ROUNDS):
            archivist = scene.live_and_die(server, life)
            server = LocalServer(scene.folder, SETTINGS)
            with Client(server.address) as client:
                scene.check(client, archivist)
            if LONG:
                with capsys.disabled():
                    print(f"\nround {life + 1} of {ROUNDS}: {scene.figures}", end="", flush=True)
        with Client(server.address) as client:
            scene.check_all_optimized(client)
    finally:
        server.kill()
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds (a minute's worth; LATENTSPACE_LONG=1: 50): {scene.figures}")
    assert scene.figures.indexed == set(RECIPES.values())
    assert scene.figures.acknowledged > 5 * ROUNDS
