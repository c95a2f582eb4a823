"""A long indexing job, killed once and started again: times, rates and memory as it goes.

    python -m benchmarks.killed_job --images TAR_OR_FOLDER [--texts 1000000] [--plot docs/jobs.svg]

For each source `latentspace index` runs as a process of its own beside a fresh server. Once
--share of the source is written it is killed (SIGKILL); a second run writes the rest, and a third
has nothing to do. The resident memory of job and server is read twice a second (the server's maps
vectors and payloads of the collection, which the system may take back). Texts are words of
words-mini, 3 to 12 of them, all different, through the family `averaged` (150 numbers); images
go through `clip`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.timing import print_table
from embedders.formats import read_vocabulary
from embedders.sources import model_file
from latentspace import Client
from latentspace.indexing.sources.choosing import open_source
from services.app.local import LocalServer

INDEX = str(Path(sys.executable).with_name("latentspace"))
MIB = 1 << 20
SAMPLE_S = 0.5
MODELS = {
    "texts": {"family": "averaged", "source": "words-mini"},
    "clip": {"family": "clip", "options": {"device": "cpu"}},
}


@dataclass(slots=True)
class Memory:
    """Samples over time: seconds, MiB of the job, MiB of the server."""

    seconds: list[float] = field(default_factory=list)
    job: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job; `told` is its last event."""

    name: str
    wall_s: float
    told: Mapping[str, Any]
    memory: Memory


def main() -> None:
    """Measures texts, and images where there are any; prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    measured: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as name:
        if args.images:
            measured["photos through clip"] = measure(Path(name) / "clip", args, args.images)
        if args.texts:
            source = Path(name) / "texts.txt"
            write_texts(source, args.texts)
            title = f"{args.texts:,} short texts"
            measured[title] = measure(Path(name) / "averaged", args, source)
    for title, runs in measured.items():
        print_table(title, HEADER, [row(run) for run in runs])
    if args.plot:
        draw(measured, args.plot)


def measure(folder: Path, args: argparse.Namespace, source: Path) -> list[Run]:
    """Three runs: killed, to the end, nothing to do."""
    model = "clip" if source == args.images else "texts"
    with LocalServer(folder, {"models": {model: MODELS[model]}}) as server:
        job = Job(server, source, model)
        total = count(source) if model == "clip" else args.texts
        return [
            job.run("killed", lambda written: written > args.share * total),
            job.run("started again"),
            job.run("a third time"),
        ]


class Job:
    """Runs of one job beside one server."""

    def __init__(self, server: LocalServer, source: Path, model: str) -> None:
        self._server, self._model = server, model
        self._command = [
            *(INDEX, "index", str(source), "-c", "bench", "--model", model, "--json"),
            *("--server", server.address),
        ]

    def run(self, name: str, enough: Callable[[int], bool] | None = None) -> Run:
        """A run to its end, or until enough is written."""
        started = time.monotonic()
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        memory, ended = Memory(), threading.Event()
        sampler = threading.Thread(target=self._sample, args=(process.pid, memory, ended))
        sampler.start()
        told: dict[str, Any] = {}
        for told in events(process):
            if told["event"] == "progress" and enough is not None and enough(told["written"]):
                process.kill()
                break
        process.wait()
        wall_s = time.monotonic() - started
        ended.set()
        sampler.join()
        if enough is not None:
            with Client(self._server.address) as client:
                told = {**told, "written": client.count("bench"), "seconds": wall_s}
        return Run(name, wall_s, told, memory)

    def _sample(self, pid: int, memory: Memory, ended: threading.Event) -> None:
        started = time.monotonic()
        job, server = psutil.Process(pid), psutil.Process(self._server.process.pid)
        while not ended.wait(SAMPLE_S):
            with suppress(psutil.Error):
                sizes = job.memory_info().rss, server.memory_info().rss
                memory.seconds.append(time.monotonic() - started)
                memory.job.append(sizes[0] / MIB)
                memory.server.append(sizes[1] / MIB)


def events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    """What a job tells."""
    assert process.stdout is not None
    yield from map(json.loads, process.stdout)


def count(source: Path) -> int:
    """Images of a source."""
    return sum(1 for _ in open_source(str(source)))


def write_texts(path: Path, texts: int) -> None:
    """Short texts of frequent words."""
    rng = np.random.default_rng(0)
    words = np.array(read_vocabulary(model_file("words-mini"), 5000).keys)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, texts, 10_000):
            part = range(start, min(texts, start + 10_000))
            drawn = rng.integers(0, len(words), (len(part), 12))
            lengths = rng.integers(3, 13, len(part))
            for number, row, length in zip(part, drawn, lengths, strict=True):
                print(*words[row[:length]], number, file=file)


HEADER = ["run", "wall s", "written", "unchanged", "a second", "job MiB", "server MiB"]


def row(run: Run) -> list[str]:
    """Figures of a run; memory as its median and its highest."""
    done = run.told["written"] + run.told["unchanged"]
    return [
        run.name,
        f"{run.wall_s:.1f}",
        f"{run.told['written']:,}",
        f"{run.told['unchanged']:,}",
        f"{done / run.told['seconds']:,.0f}",
        *(
            f"{np.median(sizes):.0f} to {max(sizes):.0f}"
            for sizes in (run.memory.job, run.memory.server)
        ),
    ]


def draw(measured: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Memory over time, the runs of a source one after the other."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "latentspace"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(measured), figsize=(6 * len(measured), 3.4), layout="constrained", squeeze=False
    )
    for axis, (title, runs) in zip(axes[0], measured.items(), strict=True):
        start = 0.0
        for run in runs:
            times = [start + one for one in run.memory.seconds]
            axis.plot(times, run.memory.server, color="C0", label="server")
            axis.plot(times, run.memory.job, color="C1", label="job")
            axis.axvline(start, color="0.7", linewidth=0.8)
            axis.annotate(run.name, (start, 0), (4, 4), textcoords="offset points", fontsize=7)
            start += run.wall_s
        axis.set(title=title, xlabel="seconds", ylabel="resident MiB", ylim=(0, None))
        axis.grid(True, alpha=0.3)
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[:2], labels[:2], fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
