"""A process that writes until it is killed, and says on standard output what was acknowledged.

Started with a data folder and a seed; each line is JSON: thread, number of the write, and what
was done. Threads write ids of their own.
"""

import sys
import threading
from pathlib import Path

import numpy as np
import orjson

from index.base import Collection
from index.engine import FaissEngine
from index.options import EngineOptions
from index.types import CollectionSpec, FieldType, Metric, Points

DIM = 16
OPTIONS = EngineOptions(threads=1, seal_rows=2500, merge_factor=2)
SPEC = CollectionSpec(DIM, Metric.DOT, "hnsw", fields={"n": FieldType.INT})
THREADS = 3


def vector(thread: int, number: int, item: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The vector of one written point, told by its write alone."""
    seed = [thread, number, item]
    return np.random.default_rng(seed).standard_normal(DIM, dtype=np.float32)


def write(collection: Collection, thread: int, seed: int, out: threading.Lock) -> None:
    random = np.random.default_rng([seed, thread])
    for number in range(1, 1 << 30):
        first, count = int(random.integers(0, 3000)), int(random.integers(1, 300))
        ids = [f"t{thread}-{(first + i) % 3000}" for i in range(count)]
        kind = ["upsert", "upsert", "upsert", "delete", "patch"][int(random.integers(0, 5))]
        say(out, {"begin": [thread, number, kind, first, count]})
        if kind == "upsert":
            rows = np.array([vector(thread, number, i) for i in range(count)])
            collection.upsert(Points(ids, rows, [b'{"n":%d}' % number] * count))
        elif kind == "delete":
            collection.delete(ids)
        else:
            collection.update_payload(ids, b'{"n":%d}' % number)
        say(out, {"end": [thread, number, kind, first, count]})


def say(out: threading.Lock, what: object) -> None:
    with out:
        sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
        sys.stdout.buffer.flush()


def main(folder: Path, seed: int) -> None:
    engine = FaissEngine(folder, options=OPTIONS)
    collection = engine.get("c") if engine.names() else engine.create("c", SPEC)
    out = threading.Lock()
    for thread in range(THREADS):
        threading.Thread(target=write, args=(collection, thread, seed, out), daemon=True).start()
    while True:
        collection.optimize()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
