"""Thousands of spoiled requests against a real server: it refuses them clearly and stays right.

Valid requests of every call are spoiled as bytes (bits flipped, truncated, spliced) and field by
field (invalid UTF-8, huge counts, NaN, wrong oneofs, deep filters and payloads), with images of
every kind of damage, and sent many at once; some callers hang up. No answer may be INTERNAL or
UNKNOWN, in items neither; none may hang; afterwards canaries answer as before.
"""

import asyncio
import itertools
import json
import os
import random
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from latentspace import Client, LatentspaceError, key, text
from services.app.local import LocalServer
from tests.e2e.mutating.parts import DIM, WORDS
from tests.e2e.mutating.pictures import pictures
from tests.e2e.mutating.storm import Tally, shots, storm
from tests.embedders.clip_models import save_tiny

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
SEED = int(os.environ.get("LATENTSPACE_SEED") or 1)
COUNT = int(os.environ.get("LATENTSPACE_MUTATIONS") or (10_000 if LONG else 1500))
PART = 250
FIELDS = {
    "tag": "keyword",
    "tags": "keyword_list",
    "n": "int",
    "x": "float",
    "ok": "bool",
    "at": "datetime",
}
OWN = {"fuzz": {"model": "toy"}, "raw": {"dim": DIM, "metric": "l2", "recipe": "hnsw"}}
OWN |= {"pics": {"model": "clip"}, "people": {"model": "faces"}}
SETTLE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("mutations")
    with LocalServer(folder / "data", settings(folder)) as running:
        yield running


def settings(folder: Path) -> dict[str, Any]:
    """Small models, each twice: those of the canaries are in no request that is spoiled."""
    save_tiny(folder / "clip")
    rng = np.random.default_rng(3)
    rows = [" ".join([word, *(f"{x:.4f}" for x in rng.normal(size=DIM))]) for word in WORDS]
    (folder / "words.txt").write_text("\n".join([f"{len(WORDS)} {DIM}", *rows]))
    shared = folder / "shared"
    shared.mkdir()
    sentences = [" ".join(rng.choice(WORDS, 8)) for _ in range(50)]
    (shared / "corpus.txt").write_text("\n".join(sentences))
    (shared / "analogies.txt").write_text(": some\nw1 w2 w3 w4\nw5 w6 w7 w8\n")
    own: dict[str, dict[str, Any]] = {
        "toy": {"family": "hash", "options": {"dim": DIM}},
        "words": {"family": "word2vec", "source": str(folder / "words.txt")},
        "clip": {"family": "clip", "source": str(folder / "clip"), "options": {"device": "cpu"}},
    }
    models = own | {f"canary-{name}": model for name, model in own.items()}
    models["faces"] = {"family": "face"}
    models["later"] = {"family": "hash", "options": {"dim": DIM}, "preload": False}
    return {
        "models": models,
        "roots": [str(shared)],
        "index": {"seal_rows": 64},
        "metrics_listen": "127.0.0.1:0",
    }


def repair(client: Client) -> None:
    """Whatever spoiled requests have deleted or unloaded is there again, what they made is gone."""
    for model in client.models():
        if model.state != "ready":
            client.load_model(model.id)
    there = {collection.name for collection in client.collections() if not collection.read_only}
    for name in there - OWN.keys():
        if not name.startswith("canary"):
            client.delete_collection(name)
    for name in OWN.keys() - there:
        client.create_collection(name, fields=FIELDS, **OWN[name])  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(40)]
    client.upsert("raw", ids=ids, vectors=rng.normal(size=(40, DIM)))
    payloads = [{"tag": "a", "n": i, "at": "2024-01-01T00:00:00Z"} for i in range(40)]
    client.upsert("fuzz", ids=ids, texts=[f"text {i}" for i in range(40)], payloads=payloads)
    client.upsert("pics", ids=ids, texts=[f"text {i}" for i in range(40)])
    client.set_alias("alias", "fuzz")
    for operation in client.operations():
        if operation.state in ("pending", "running") and operation.kind in ("train", "evaluate"):
            client.cancel_operation(operation.id)


def make_canaries(client: Client) -> None:
    rng = np.random.default_rng(9)
    client.create_collection("canary-raw", dim=DIM, recipe="hnsw", fields=FIELDS)
    ids = [f"c{i}" for i in range(300)]
    payloads = [{"n": i, "tag": "even" if i % 2 else "odd"} for i in range(300)]
    client.upsert("canary-raw", ids=ids, vectors=rng.normal(size=(300, DIM)), payloads=payloads)
    client.create_collection("canary-texts", model="canary-toy")
    client.upsert("canary-texts", ids=ids, texts=[f"canary {i} sings" for i in range(300)])
    client.optimize("canary-raw", full=True)


def canary_answers(client: Client, sound: list[bytes]) -> list[Any]:
    """Everything a client may ask of the canaries; equal before and after."""
    rows = np.random.default_rng(4).normal(size=(20, DIM))
    found = client.search_batch("canary-raw", vectors=rows, k=5, params={"exact": True})
    odd = client.search("canary-raw", vector=rows[0], k=5, filter={"tag": "odd", "n": {"lt": 50}})
    texts = client.search("canary-texts", text="canary 7 sings", k=3)
    return [
        client.embed("canary-toy", texts=["one", "two words"]).tolist(),
        client.embed("canary-words", keys=WORDS[:5]).tolist(),
        np.round(client.embed("canary-clip", images=sound), 4).tolist(),
        np.round(client.embed("canary-clip", texts=["a cat", "a dog"]), 4).tolist(),
        [(match.id, round(match.score, 5)) for match in (*odd, *texts)],
        found.ids.tolist(),
        np.round(found.scores, 5).tolist(),
        [m.id for m in client.analogy("canary-words", positive=["w1", "w2"], negative=["w3"])],
        [(p.id, p.payload) for p in client.scroll("canary-raw", filter={"n": {"gte": 290}})],
        client.count("canary-raw"),
        client.search("canary-texts", query=[(1, text("canary 3")), (-1, text("sings"))])[0].id,
        client.search("canary-words", query=[(1.0, key("w5"))], k=1)[0].id,
    ]


def waiting(server: LocalServer) -> float:
    """Cost of all that waits in the queues of models."""
    (line,) = [line for line in server.log if '"event": "metrics"' in line]
    with urllib.request.urlopen(json.loads(line)["address"]) as reply:
        lines = reply.read().decode().splitlines()
    costs = [float(line.rpartition(" ")[2]) for line in lines if "_queue_cost{" in line]
    assert costs
    return sum(costs)


@pytest.mark.long
@pytest.mark.timeout(120 + COUNT // 5)
def test_spoiled_requests_are_refused_and_harm_nobody(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    files, tally = pictures(random.Random(SEED)), Tally()
    with Client(server.address) as client:
        repair(client)
        make_canaries(client)
        before = canary_answers(client, files[:2])
        ammunition = shots(SEED, COUNT, files)
        began = time.monotonic()
        while part := list(itertools.islice(ammunition, PART)):
            asyncio.run(storm(server.address, part, tally))
            assert server.process.poll() is None, "\n".join(server.log[-50:])
            repair(client)
        seconds = time.monotonic() - began
        after = canary_answers(client, files[:2])
        settle(client, server)
        failures = [str(one.error) for one in client.operations() if one.error]
    rss = psutil.Process(server.process.pid).memory_info().rss >> 20
    with capsys.disabled():
        print(f"\n{COUNT} mutations, seed {SEED}: {dict(tally.codes)}, {seconds:.0f} s, {rss} MiB")
        print(f"LATENTSPACE_SEED={SEED} repeats the choices; LATENTSPACE_LONG=1: 10,000")
    assert not tally.faults, "\n".join(tally.faults)
    assert not [failure for failure in failures if "internal error" in failure]
    assert tally.codes["OK"] > COUNT / 20
    assert after == before
    assert not [line for line in server.log if "internal error" in line or "Traceback" in line]


def settle(client: Client, server: LocalServer) -> None:
    """Nothing is left waiting by calls that were hung up."""
    end = time.monotonic() + SETTLE_S
    while waiting(server) > 0:
        assert time.monotonic() < end, "work of calls that are gone still counts as waiting"
        time.sleep(0.1)
    assert {m.state for m in client.models()} == {"ready"}
    with pytest.raises(LatentspaceError):
        client.embed("nope", text="x")
