"""Time and memory of one collection as it grows, as a table and a log-log plot.

    python -m benchmarks.vectors TEXT --count 1000000      # once: real MiniLM vectors
    python -m benchmarks.growth [--recipe auto] [--most 1000000] [--plot docs/growth.svg]

The service is a process of its own. Points are added up to each size, acknowledged on disk; then
everything is merged into one index, the server is started anew (how long until it answers), and
it is searched with the last 1,000 vectors of the file, recall against exact search.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.overhead import MODELS, K
from benchmarks.search import BATCH, INGEST_BATCH, anonymous_bytes, load, mapped_bytes
from benchmarks.timing import print_table, time_calls
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows
from latentspace import Client
from services.app.local import LocalServer

SIZES = (10_000, 31_623, 100_000, 316_228, 1_000_000)
RECALL_QUERIES, SINGLES, BATCHES = 500, 300, 8


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured at one size; memory and disk in bytes a point."""

    points: int
    recipe: str
    write_s: float
    build_s: float
    ready_s: float
    batch_per_s: float
    p50_ms: float
    recall: float
    own_bytes: float
    mapped_bytes: float
    disk_bytes: float


def main() -> None:
    """Grows, measures, prints, draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, default=Path("bench-out/minilm.npy"))
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--out", type=Path, help="write the figures as JSON; also draws from it")
    parser.add_argument("--plot", type=Path, help="draw every JSON file beside --out, to an SVG")
    args = parser.parse_args()
    end = int(args.vectors.with_suffix(".done").read_text())
    # the queries are the last of the file, and in no collection
    most = min(args.most, end - 1000)
    rows, queries = load(args.vectors, most)
    sizes = [*(size for size in SIZES if size < most), most]
    with tempfile.TemporaryDirectory() as folder:
        found = grow(Path(folder), rows, queries, sizes, args.recipe)
    show(args.recipe, found)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps([asdict(size) for size in found]))
    if args.plot and args.out:
        draw(sorted(args.out.parent.glob("growth-*.json")), args.plot)


def grow(
    folder: Path, rows: FloatRows, queries: FloatRows, sizes: list[int], recipe: str
) -> list[Size]:
    """One collection, added to and measured at each size."""
    found: list[Size] = []
    stored, write_s = 0, 0.0
    for size in sizes:
        with LocalServer(folder, MODELS) as server, Client(server.address) as client:
            if not stored:
                client.create_collection("grown", dim=rows.shape[1], recipe=recipe)
            started = time.perf_counter()
            add(client, rows, stored, size)
            write_s += time.perf_counter() - started
            started = time.perf_counter()
            client.optimize("grown", full=True, timeout_s=7200)
            build_s = time.perf_counter() - started
        stored = size
        found.append(measure(folder, rows[:size], queries, write_s, build_s))
        print(json.dumps(asdict(found[-1])), flush=True)
    return found


def add(client: Client, rows: FloatRows, start: int, end: int) -> None:
    """Rows [start, end), durable."""
    for place in range(start, end, INGEST_BATCH):
        part = rows[place : min(place + INGEST_BATCH, end)]
        client.upsert("grown", ids=[f"{place + i:012d}" for i in range(len(part))], vectors=part)


def measure(
    folder: Path, rows: FloatRows, queries: FloatRows, write_s: float, build_s: float
) -> Size:
    """Figures of the collection in a server started anew."""
    started = time.perf_counter()
    with LocalServer(folder, MODELS) as server, Client(server.address) as client:
        client.search("grown", vector=queries[0], k=K)
        ready_s = time.perf_counter() - started
        some = queries[:RECALL_QUERIES]
        ids = client.search_batch("grown", vectors=some, k=K).ids
        started = time.perf_counter()
        for i in range(BATCHES):
            client.search_batch("grown", vectors=queries[i * 64 :][:BATCH], k=K)
        batch_per_s = BATCHES * BATCH / (time.perf_counter() - started)
        single = time_calls(
            lambda i: client.search("grown", vector=queries[i], k=K, with_payload=False), SINGLES
        )
        own = anonymous_bytes(server.process.pid)
        mapped = mapped_bytes(server.process.pid, folder)
        recipe = client.collection("grown").recipe
    truth = true_neighbours(rows, some, K)
    hits = [
        np.isin([int(i) for i in a if i], b).mean() * sum(map(bool, a)) / K
        for a, b in zip(ids, truth, strict=True)
    ]
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    n = len(rows)
    return Size(
        n,
        recipe,
        write_s,
        build_s,
        ready_s,
        batch_per_s,
        single.p50_ms,
        float(np.mean(hits)),
        own / n,
        mapped / n,
        disk / n,
    )


def show(recipe: str, found: list[Size]) -> None:
    """The table."""
    print_table(
        f"recipe {recipe}, 384 numbers a vector",
        [
            "points",
            "recipe",
            "written s",
            "one index s",
            "restart s",
            f"{BATCH}-batch queries/s",
            "single p50 ms",
            f"recall@{K}",
            "own MB",
            "mapped MB",
            "disk MB",
        ],
        [
            [
                f"{size.points:,}",
                size.recipe,
                f"{size.write_s:.1f}",
                f"{size.build_s:.1f}",
                f"{size.ready_s:.1f}",
                f"{size.batch_per_s:,.0f}",
                f"{size.p50_ms:.2f}",
                f"{size.recall:.3f}",
                *(
                    f"{size.points * one / 1e6:,.0f}"
                    for one in (size.own_bytes, size.mapped_bytes, size.disk_bytes)
                ),
            ]
            for size in found
        ],
    )


def draw(files: list[Path], plot: Path) -> None:
    """Log-log lines of every recipe that was measured."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "latentspace"
    from matplotlib import pyplot

    panels = {
        "seconds": {"write_s": "written, acknowledged", "build_s": "merged into one index"},
        "milliseconds, one client": {"p50_ms": "search, p50"},
        "MB": {"own_bytes": "own memory", "mapped_bytes": "mapped files"},
    }
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 3.6), layout="constrained")
    for axis, (unit, lines) in zip(axes, panels.items(), strict=True):
        for file, style in zip(files, ("-", "--", ":", "-."), strict=False):
            sizes = [Size(**one) for one in json.loads(file.read_text())]
            recipe = file.stem.removeprefix("growth-")
            for number, (field, label) in enumerate(lines.items()):
                scale = [size.points / 1e6 if unit == "MB" else 1 for size in sizes]
                values = [getattr(s, field) * f for s, f in zip(sizes, scale, strict=True)]
                axis.loglog(
                    [size.points for size in sizes],
                    values,
                    style,
                    color=f"C{number}",
                    marker=".",
                    label=f"{label} ({recipe})",
                )
        axis.set(xlabel="points", title=unit)
        axis.grid(True, alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(plot, metadata={"Date": None})


if __name__ == "__main__":
    main()
