"""A collection that is dropped and made anew under everything that uses it: each call has an
answer of one of its lives, or is told that there is none."""

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable

import numpy as np

from latentspace import Client, point
from latentspace.errors import AlreadyExistsError, LatentspaceError, NotFoundError
from services.app.local import LocalServer

SECONDS = 120.0 if os.environ.get("LATENTSPACE_LONG") == "1" else 6.0
DIM, ROWS = 8, 300
IDS = [f"p{number}" for number in range(ROWS)]
ROW = np.ones(DIM, np.float32)

Call = Callable[[Client, str], object]

READS: dict[str, Call] = {
    "search": lambda ls, name: ls.search(name, vector=ROW, k=5),
    "search with payload": lambda ls, name: ls.search(name, vector=ROW, k=5, with_payload=True),
    "filtered": lambda ls, name: ls.search(name, vector=ROW, k=5, filter={"life": {"gte": 0}}),
    "by point": lambda ls, name: ls.search(name, query=point("p1"), k=5),
    "get": lambda ls, name: ls.get(name, ids=["p1"], with_vectors=True),
    "count": lambda ls, name: ls.count(name, filter={"life": {"gte": 0}}),
    "scroll": lambda ls, name: list(ls.scroll(name, page_size=100)),
    "collection": lambda ls, name: ls.collection(name),
    "recall": lambda ls, name: ls.measure_recall(name, k=3, samples=5),
}
WRITES: dict[str, Call] = {
    "upsert": lambda ls, name: ls.upsert(name, ids=["extra"], vectors=ROW[None]),
    "payload": lambda ls, name: ls.update_payload(name, ids=["p1"], payload={"life": 1}),
    "delete": lambda ls, name: ls.delete(name, ids=["extra"]),
    "optimize": lambda ls, name: ls.optimize(name),
    "snapshot": lambda ls, name: ls.snapshot(name, uuid.uuid4().hex),
}
OPERATIONS = {"optimize", "snapshot"}
LISTS: dict[str, Call] = {"collections": lambda ls, name: ls.collections()}


def remake(client: Client, name: str, alias: str, life: int) -> None:
    client.create_collection(name, dim=DIM, metric="l2", fields={"life": "int"})
    client.set_alias(alias, name)
    rows = np.random.default_rng(life).standard_normal((ROWS, DIM)).astype(np.float32)
    client.upsert(name, ids=IDS, vectors=rows, payloads=[{"life": life}] * ROWS)


def test_calls_during_a_drop_are_answered_or_not_found(
    server: LocalServer, client: Client, name: str
) -> None:
    alias, ended = f"{name}-alias", threading.Event()
    outcomes: Counter[tuple[str, str]] = Counter()
    unexpected: list[str] = []

    def use(what: str, call: Call, target: str) -> None:
        with Client(server.address) as own:
            while not ended.is_set():
                try:
                    call(own, target)
                    outcomes[what, "answered"] += 1
                except NotFoundError:
                    outcomes[what, "not found"] += 1
                except LatentspaceError as error:
                    if what in OPERATIONS and "there is no collection" in str(error):
                        continue  # it began in time, and its operation ended without a collection
                    unexpected.append(f"{what} of {target}: {type(error).__name__}: {error}")

    calls = {**READS, **WRITES, **LISTS}
    threads = [
        threading.Thread(target=use, args=(what, call, alias if number % 2 else name))
        for number, (what, call) in enumerate(calls.items())
    ]
    remake(client, name, alias, 0)
    for thread in threads:
        thread.start()
    end, life = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        client.delete_collection(name)
        life += 1
        remake(client, name, alias, life)
        # nothing of an earlier life is in this one
        found = client.search(name, vector=ROW, k=ROWS + 1, with_payload=True)
        lives = {(hit.payload or {}).get("life") for hit in found if hit.id not in ("extra", "p1")}
        assert lives == {life}
        assert len(found) >= ROWS
    ended.set()
    for thread in threads:
        thread.join()
    assert not unexpected, (Counter(unexpected).most_common(10), life)
    assert life > 1
    assert all(outcomes[what, "answered"] for what in READS), outcomes
    client.delete_collection(name)


def test_restoring_over_a_name_that_comes_and_goes(
    server: LocalServer, client: Client, name: str
) -> None:
    remake(client, name, f"{name}-alias", 1)
    snapshot = uuid.uuid4().hex
    client.snapshot(name, snapshot)
    unexpected: list[str] = []
    ended = threading.Event()

    def restore() -> None:
        with Client(server.address) as own:
            while not ended.is_set():
                try:
                    own.restore(snapshot, name)
                except (AlreadyExistsError, NotFoundError):
                    pass
                except LatentspaceError as error:
                    if "there is a collection" in str(error) or "is no collection" in str(error):
                        continue  # it began in time, and the name was taken or gone at its end
                    unexpected.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=restore)
    thread.start()
    end = time.monotonic() + SECONDS / 2
    while time.monotonic() < end:
        try:
            client.delete_collection(name)
        except NotFoundError:
            continue
    ended.set()
    thread.join()
    assert not unexpected, Counter(unexpected).most_common(10)
