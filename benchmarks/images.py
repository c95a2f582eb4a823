"""Images a second through an encoder and through the service, beside a plain open_clip loop.

    python -m benchmarks.images [--source clip-lite] [--images 256] [--batch 32] [--files FOLDER]

All in one run, on the same images and weights: the loop decodes and resizes in threads, a batch
ahead of the forward pass, as a careful user of open_clip would write it. Without --files the
images are smooth noise, as JPEGs of 500 x 375 pixels.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from benchmarks.timing import print_table
from embedders import Encoder, Item, Modality, Prepared, load
from embedders.clip.loading import load_model
from embedders.clip.options import ClipOptions
from embedders.clip.source import clip_files
from embedders.vectors import FloatRows
from latentspace import Client
from services.app.local import LocalServer
from services.runtime.process import available_cores

ROUNDS = 3
CHUNK = 8


def main() -> None:
    """Times all ways in turn, several rounds; prints the medians and the agreement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="clip-lite")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--files", type=Path)
    args = parser.parse_args()
    files = read(args.files, args.images) if args.files else made(args.images)
    options = {"device": "cpu"}
    encoder = load("clip", "clip", args.source, options)
    model = load_model(clip_files(args.source, ClipOptions(device="cpu")))
    served = {
        "models": {"clip": {"family": "clip", "source": args.source, "options": options}},
        "cache": {"memory_mib": 0},
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer(Path(folder), served) as server,
        Client(server.address) as client,
        ThreadPoolExecutor(available_cores()) as pool,
    ):
        ways: dict[str, Callable[[], FloatRows]] = {
            "open_clip, threads ahead": lambda: plain(model, files, args.batch, pool),
            "encoder": lambda: ours(encoder, files, args.batch, pool),
            "service": lambda: client.embed("clip", images=files),
        }
        report(ways, len(files))


def report(ways: dict[str, Callable[[], FloatRows]], count: int) -> None:
    """Rounds in turn, so that all meet the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows = {name: way() for name, way in ways.items()}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    first = next(iter(ways))
    base = float(np.median(seconds[first]))
    table = []
    for name in ways:
        median = float(np.median(seconds[name]))
        agreement = float((rows[name] * rows[first]).sum(axis=1).min())
        table.append([name, f"{count / median:.0f}", f"{base / median:.2f}", f"{agreement:.6f}"])
    header = ["", "images/s", "ratio", "lowest cosine"]
    print_table(f"{count} images, {available_cores()} cores, median of {ROUNDS}", header, table)


def plain(model: Any, files: Sequence[bytes], batch: int, pool: ThreadPoolExecutor) -> FloatRows:
    """open_clip alone: threads decode one batch ahead of the forward pass."""
    config = PreprocessCfg(**model.visual.preprocess_cfg)
    transform = image_transform_v2(config, is_train=False)

    def prepare(data: bytes) -> torch.Tensor:
        with Image.open(io.BytesIO(data)) as image:
            return torch.as_tensor(transform(image.convert("RGB")))

    coming = pool.map(prepare, files)
    parts = []
    with torch.inference_mode():
        while tensors := list(islice(coming, batch)):
            parts.append(model.encode_image(torch.stack(tensors), normalize=True))
    return np.asarray(torch.cat(parts))


def ours(
    encoder: Encoder, files: Sequence[bytes], batch: int, pool: ThreadPoolExecutor
) -> FloatRows:
    """The encoder's two steps, as the service runs them."""
    chunks = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]

    def prepare(chunk: Sequence[bytes]) -> list[Any]:
        return encoder.prepare_batch([Item(Modality.IMAGE, data) for data in chunk])

    def prepared() -> Iterator[Prepared]:
        for chunk in pool.map(prepare, chunks):
            yield from chunk

    coming, parts = prepared(), []
    while ready := list(islice(coming, batch)):
        parts.append(encoder.encode(ready).rows)
    return np.concatenate(parts)


def made(count: int) -> list[bytes]:
    """JPEGs of smooth noise, about as large as photos of that size."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (75, 100, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
        found.append(buffer.getvalue())
    return found


def read(folder: Path, count: int) -> list[bytes]:
    """The first JPEGs of a folder."""
    found = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:count]]
    if not found:
        raise SystemExit(f"{folder}: no .jpg in it")
    return found


if __name__ == "__main__":
    main()
