"""Encoders of texts: agreement with people (STS), and the backends of MiniLM side by side.

    python -m benchmarks.sentences sts STS-DEV.csv
    python -m benchmarks.sentences backends STS-DEV.csv

The file is the STS benchmark's: tab separated, score in column 5, sentences in 6 and 7.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedders import Encoder, Item, Modality, Prepared, load
from embedders.vectors import FloatRows, normalize_rows

QUALITY: dict[str, tuple[str, dict[str, Any]]] = {
    "words-mini, mean": ("averaged", {}),
    "words-mini, sif": ("averaged", {"weighting": "sif"}),
    "minilm": ("sentence", {"device": "cpu"}),
}
BACKENDS: dict[str, dict[str, str]] = {
    "torch float32": {},
    "torch bfloat16": {"dtype": "bfloat16"},
    "onnx float32": {"backend": "onnx"},
    "openvino float32": {"backend": "openvino"},
    "openvino bfloat16": {"backend": "openvino", "dtype": "bfloat16"},
}
BATCH, TEXTS, SINGLES, ROUNDS = 64, 640, 100, 4


def read_pairs(path: Path) -> list[list[str]]:
    """Lines of the file, in columns."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line.count("\t") >= 6]


def embed(encoder: Encoder, texts: Sequence[str]) -> FloatRows:
    """Rows float32 (n, d); zeros for a text that the encoder refuses."""
    found = encoder.prepare_batch([Item(Modality.TEXT, text) for text in texts])
    good = [i for i, entry in enumerate(found) if isinstance(entry, Prepared)]
    rows = np.zeros((len(texts), encoder.info.dim), np.float32)
    encoded = encoder.encode([entry for entry in found if isinstance(entry, Prepared)])
    rows[np.array(good)[encoded.index]] = encoded.rows
    return rows


def measure_quality(pairs: Sequence[Sequence[str]]) -> None:
    """Prints the rank correlation of cosines with the scores that people gave."""
    from scipy.stats import spearmanr

    scores = [float(pair[4]) for pair in pairs]
    for name, (family, options) in QUALITY.items():
        encoder = load("m", family, "", options)
        one, two = (normalize_rows(embed(encoder, [p[i] for p in pairs])) for i in (5, 6))
        correlation = spearmanr((one * two).sum(axis=1), scores).statistic
        print(f"{name:20s} Spearman {correlation:.4f} over {len(pairs)} pairs", flush=True)


def measure_backends(pairs: Sequence[Sequence[str]]) -> None:
    """Prints the speed of each backend, on one thread, and how near its rows are."""
    import torch

    torch.set_num_threads(1)
    texts = [pair[5] for pair in pairs][:TEXTS]
    encoders = {
        name: load("m", "sentence", "", {"device": "cpu", **options})
        for name, options in BACKENDS.items()
    }
    batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
    exact = embed(encoders["torch float32"], texts)
    for name, encoder in encoders.items():
        cosine = (exact * embed(encoder, texts)).sum(axis=1).min()
        print(f"{name:20s} lowest cosine {cosine:.5f}", flush=True)
    for label, calls in (("batch", batches), ("single", [[text] for text in texts[:SINGLES]])):
        for name, seconds in best_times(encoders, calls).items():
            rate = sum(map(len, calls)) / seconds
            print(f"{label:7s} {name:20s} {rate:8.1f} sentences/s", flush=True)


def best_times(encoders: dict[str, Encoder], calls: Sequence[Sequence[str]]) -> dict[str, float]:
    """Seconds of all calls, the best of the rounds for each; encoders take turns."""
    best = {name: np.full(len(calls), np.inf) for name in encoders}
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            for i, texts in enumerate(calls):
                start = time.perf_counter()
                embed(encoder, texts)
                best[name][i] = min(best[name][i], time.perf_counter() - start)
    return {name: float(seconds.sum()) for name, seconds in best.items()}


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["sts", "backends"])
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    pairs = read_pairs(args.file)
    measure_quality(pairs) if args.what == "sts" else measure_backends(pairs)


if __name__ == "__main__":
    main()
