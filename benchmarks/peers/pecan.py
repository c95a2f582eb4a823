"""PecanPy: SparseOTF walks, then gensim's Word2Vec, as its own command line does.

    bench-out/nodes-venv/bin/python -m benchmarks.peers.pecan FOLDER P Q THREADS

Reads `graph.npz` (IDs, indptr, indices, data) from FOLDER and writes `pecan.npy` there. Every call
of PecanPy compiles its inner loop anew; how long that takes is measured on a triangle and told too.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from gensim.models import Word2Vec
from pecanpy.pecanpy import SparseOTF

DIM, WALKS, STEPS, WINDOW = 128, 10, 80, 10


def main() -> None:
    """Measures, and prints one JSON object: seconds of the wall clock and of the processors."""
    folder, p, q, threads = sys.argv[1:]
    measure(Path(folder), float(p), float(q), int(threads))


def measure(folder: Path, p: float, q: float, threads: int) -> None:
    """Walks, trains, and tells."""
    numba.set_num_threads(threads)
    graph = SparseOTF(p, q, threads, False, random_state=1)
    graph.read_npz(str(folder / "graph.npz"), weighted=True)
    triangle().simulate_walks(1, 5)
    _, *compiled = timed(lambda: triangle().simulate_walks(1, 5))
    walks, *walked = timed(lambda: graph.simulate_walks(WALKS, STEPS))
    model, *trained = timed(lambda: learn(walks, threads))
    np.save(folder / "pecan.npy", model.wv[graph.nodes])
    print(json.dumps({"compile": compiled, "walk": walked, "train": trained}), flush=True)


def triangle() -> SparseOTF:
    """The smallest graph of the same kind, fresh, so that it compiles."""
    graph = SparseOTF(2.0, 0.5, 1, False, random_state=1)
    graph.set_node_ids(["a", "b", "c"])
    graph.indptr = np.array([0, 2, 4, 6], np.uint32)
    graph.indices = np.array([1, 2, 0, 2, 0, 1], np.uint32)
    graph.data = np.ones(6, np.float32)
    return graph


def learn(walks: list[list[str]], threads: int) -> Word2Vec:
    """As PecanPy's command line."""
    return Word2Vec(
        walks, vector_size=DIM, window=WINDOW, min_count=0, sg=1, workers=threads, epochs=1, seed=1
    )


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, and seconds of the wall clock and of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
