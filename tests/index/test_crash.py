"""A writer killed at a random moment: what was acknowledged is there, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from index.base import SearchRequest
from index.engine import FaissEngine
from index.types import Points, SearchParameters
from tests.index.crash_writer import DIM, OPTIONS, THREADS, vector

ROUNDS = 40 if os.environ.get("LATENTSPACE_LONG") else 2
Truth = dict[str, tuple[Any, int]]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_acknowledged_writes_survive_kill(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth: list[Truth] = [{} for _ in range(THREADS)]
    for life in range(3):
        log = run_and_kill(tmp_path, seed * 10 + life, float(random.uniform(0.8, 2.5)))
        engine = FaissEngine(tmp_path, options=OPTIONS)
        stored = stored_points(engine)
        truth = [settle(log, thread, truth[thread], stored) for thread in range(THREADS)]
        expected = {point_id: point for own in truth for point_id, point in own.items()}
        assert stored.keys() == expected.keys()
        check_search(engine, expected, random)
        engine.close()


def run_and_kill(folder: Path, seed: int, seconds: float) -> list[dict[str, list[Any]]]:
    writer = [sys.executable, "-m", "tests.index.crash_writer", str(folder), str(seed)]
    with subprocess.Popen(writer, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
    lines = (first + rest).split(b"\n")[:-1]
    assert len(lines) > 3
    return [orjson.loads(line) for line in lines]


def stored_points(engine: FaissEngine) -> Truth:
    found: Truth = {}
    cursor = "s0"
    while cursor:
        page = engine.get("c").scan(cursor, 5000, with_vectors=True)
        points, cursor = page.points, page.cursor
        assert points.vectors is not None
        assert points.payloads is not None
        for point_id, row, payload in zip(points.ids, points.vectors, points.payloads, strict=True):
            assert point_id not in found
            found[point_id] = (row, orjson.loads(payload)["n"])
    return found


def settle(log: list[dict[str, list[Any]]], thread: int, truth: Truth, stored: Truth) -> Truth:
    """What must be there after a thread's writes: its last may be there whole, or not at all."""
    begun = [line["begin"] for line in log if "begin" in line and line["begin"][0] == thread]
    ended = [line["end"] for line in log if "end" in line and line["end"][0] == thread]
    for write in ended:
        truth = applied(truth, *write)
    own = {key: point for key, point in stored.items() if key.startswith(f"t{thread}-")}
    candidates = [truth] + [applied(truth, *write) for write in begun[len(ended) :]]
    for candidate in candidates:
        if same(candidate, own):
            return candidate
    pytest.fail(f"thread {thread}: stored points are those of no moment")


def applied(truth: Truth, thread: int, number: int, kind: str, first: int, count: int) -> Truth:
    truth = dict(truth)
    for i in range(count):
        point_id = f"t{thread}-{(first + i) % 3000}"
        if kind == "upsert":
            truth[point_id] = (vector(thread, number, i), number)
        elif kind == "delete":
            truth.pop(point_id, None)
        elif point_id in truth:
            truth[point_id] = (truth[point_id][0], number)
    return truth


def same(one: Truth, other: Truth) -> bool:
    return one.keys() == other.keys() and all(
        one[key][1] == other[key][1] and np.array_equal(one[key][0], other[key][0]) for key in one
    )


def check_search(engine: FaissEngine, expected: Truth, random: np.random.Generator) -> None:
    ids = list(expected)
    rows = np.array([expected[point_id][0] for point_id in ids])
    queries = random.standard_normal((4, DIM), dtype=np.float32)
    for params, least in ((SearchParameters(exact=True), 1.0), (SearchParameters(ef=512), 0.9)):
        hits = engine.get("c").search(SearchRequest(queries, 10, None, params))
        best = -np.sort(-(queries @ rows.T), axis=1)[:, 9:10]
        found = hits.scores.reshape(4, 10) >= best - 1e-4
        assert found.mean() >= least
        places = [ids.index(point_id) for point_id in hits.points.ids]
        true = np.einsum("qd,qkd->qk", queries, rows[places].reshape(4, 10, DIM))
        np.testing.assert_allclose(hits.scores.reshape(4, 10), true, atol=1e-3)


def test_a_write_is_acknowledged_once_it_is_on_disk(tmp_path: Path) -> None:
    """The files of a process that ends without closing anything hold what was acknowledged."""
    code = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from index.engine import FaissEngine; from index.types import CollectionSpec, Points\n"
        "c = FaissEngine(Path(sys.argv[1])).create('c', CollectionSpec(2))\n"
        "c.upsert(Points(['a'], np.ones((1, 2), np.float32))); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    engine = FaissEngine(tmp_path, threads=1)
    assert engine.get("c").get(["a"])[1] == []
    engine.get("c").upsert(Points(["b"], np.ones((1, 2), np.float32)))
    assert engine.get("c").count() == 2
    engine.close()
