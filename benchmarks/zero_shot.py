"""Zero-shot classification beside encoding the same images, in one run.

    python -m benchmarks.zero_shot [--labels 1000] [--batch 64] [--rounds 8]

Labels are words of words-mini in the 80 templates of ImageNet: storing the label set encodes them
once. Then batches of images, each new to the server, are embedded and classified in turn, by the
stored label set and by the same labels inline.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.images import made
from benchmarks.timing import print_table
from embedders.formats import read_vocabulary
from embedders.sources import model_file
from latentspace import Client
from services.app.local import LocalServer

TIMEOUT_S = 3600.0


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    labels = read_vocabulary(model_file("words-mini")).keys[1000 : 1000 + args.labels]
    settings = {"models": {"clip": {"family": "clip"}}, "limits": {"batch_items": 64}}
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer(Path(folder), settings) as server,
        Client(server.address, timeout_s=TIMEOUT_S) as client,
    ):
        started = time.perf_counter()
        client.create_label_set("words", model="clip", labels=labels, templates="imagenet")
        stored_s = time.perf_counter() - started
        ways: dict[str, Callable[[list[bytes]], object]] = {
            "embed": lambda images: client.embed("clip", images=images),
            "classify, label set": lambda images: client.classify(
                "clip", images=images, label_set="words", top_k=5
            ),
            "classify, inline labels": lambda images: client.classify(
                "clip", images=images, labels=labels, templates="imagenet", top_k=5
            ),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        images = made(args.batch * len(ways) * (args.rounds + 1))
        names = cycle(ways)
        for start in range(0, len(images), args.batch):
            name, began = next(names), time.perf_counter()
            ways[name](images[start : start + args.batch])
            seconds[name].append(time.perf_counter() - began)
    # the first of each warms up
    medians = {name: float(np.median(each[1:])) for name, each in seconds.items()}
    base = medians["embed"]
    rows = [[n, f"{m * 1e3:.1f}", f"{(m / base - 1) * 100:+.1f} %"] for n, m in medians.items()]
    title = f"{args.batch} images, {len(labels)} labels x 80 templates (stored in {stored_s:.0f} s)"
    print_table(title, ["", "ms", "beyond encoding"], rows)


if __name__ == "__main__":
    main()
