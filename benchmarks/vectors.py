"""Real sentence vectors for the search benchmarks, made with the service and kept in bench-out/.

    python -m benchmarks.vectors TEXT [--count 100000] [--out bench-out/minilm.npy]

TEXT holds one passage a line (.txt, .gz, .xz). Passages are cut into pieces of 6 to 24 words,
shuffled (seed 0), embedded by model `sentences` in bfloat16 through `Client.embed`, and written as
float16 (count, 384); the search benchmark reads them as float32. Stopped and started again, it goes
on where it was.
"""

import argparse
import gzip
import lzma
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from latentspace import Client
from services.app.local import LocalServer

MIN_WORDS, MAX_WORDS = 6, 24
CHUNK = 4096
DIM = 384


def main() -> None:
    """Embeds what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("bench-out/minilm.npy"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    texts = pieces(args.text, args.count)
    settings = {
        "models": {"sentences": {"family": "sentence", "options": {"dtype": "bfloat16"}}},
    }
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder), settings) as server:
        embed(server.address, texts, args.out)


def pieces(path: Path, count: int) -> list[str]:
    """`count` pieces of the text, shuffled.

    Raises:
        SystemExit: the text is too short.
    """
    found = list(cut(path))
    if len(found) < count:
        raise SystemExit(f"{path} has {len(found)} pieces; give a longer text or a smaller --count")
    random.Random(0).shuffle(found)
    return found[:count]


def cut(path: Path) -> Iterator[str]:
    """Pieces of 6 to 24 words."""
    with open_text(path) as lines:
        for line in lines:
            words = line.split()
            for start in range(0, len(words), MAX_WORDS):
                part = words[start : start + MAX_WORDS]
                if len(part) >= MIN_WORDS:
                    yield " ".join(part)


def open_text(path: Path) -> IO[str]:
    """A text file, packed or not."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def embed(address: str, texts: list[str], out: Path) -> None:
    """Embeds and writes chunk by chunk; prints the rate."""
    done_file = out.with_suffix(".done")
    done = int(done_file.read_text()) if done_file.exists() and out.exists() else 0
    mode = "r+" if done else "w+"
    rows = np.lib.format.open_memmap(out, mode, np.float16, None if done else (len(texts), DIM))
    if len(rows) != len(texts):
        raise SystemExit(f"{out} has {len(rows)} rows, not {len(texts)}: remove it first")
    started, before = time.perf_counter(), done
    with Client(address) as client:
        for start in range(done, len(texts), CHUNK):
            end = min(start + CHUNK, len(texts))
            rows[start:end] = client.embed("sentences", texts=texts[start:end])
            rows.flush()
            done_file.write_text(str(end))
            rate = (end - before) / (time.perf_counter() - started)
            print(f"{end} of {len(texts)}, {rate:.0f} texts/s", flush=True)


if __name__ == "__main__":
    main()
