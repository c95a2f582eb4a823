"""Train face-mini on LFWcrop and print its figures; without training: --evaluate-only.

python scripts/make_face_mini.py LFWCROP.tar --out embedders/minis/face-mini/model.safetensors
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from embedders.evaluation.verification import ten_fold
from embedders.face.calibration import PAIR_SEED, measure
from embedders.face.params import FaceParams
from embedders.face.people import People, held_out, read_people
from embedders.face.reading import crop_for
from embedders.face.trainer import embed_images, train_face
from embedders.face.verification import FOLDS, draw_pairs
from embedders.face.weights import load_weights
from embedders.training import silent
from embedders.vectors import FloatRows, normalize_rows


def show(stage: str, done: int, total: int) -> None:
    """Print now and then how far the work is."""
    if stage == "train" and done % 200 == 0:
        print(f"{stage} {done}/{total}", flush=True)


def pixel_rows(people: People) -> FloatRows:
    """Give the simplest baseline: the pixels themselves, centred, of length one."""
    pixels = people.images.reshape(len(people.images), -1).astype(np.float32)
    return normalize_rows(pixels - pixels.mean(axis=1, keepdims=True))


def report(name: str, people: People, rows: FloatRows) -> None:
    """Print a 10-fold accuracy."""
    found = measure(people.labels, rows)
    mean, std = found["accuracy_10_fold"], found["accuracy_10_fold_std"]
    print(f"{name}: {mean:.4f} +- {std:.4f} ({found['accuracy_pairs']:.0f} pairs)")


def evaluate(path: Path, people: People, share: float) -> None:
    """Print the figures of the stored weights on people that they were not trained on."""
    weights = load_weights(path)
    sides = held_out(people.names, share)
    for name, chosen in (
        ("test half", sides == 2),
        ("calibration half", sides == 1),
        ("all held out", sides > 0),
    ):
        part = people.part(chosen)
        print(f"{name}: {len(part.names)} people, {len(part.labels)} photos")
        report("  face-mini", part, embed_images(weights.network, part.images))
        report("  raw pixels", part, pixel_rows(part))
    print("thresholds", weights.metadata["thresholds"])
    print("test", weights.metadata["metrics"])
    print("people", weights.metadata["people"])
    print(f"file {path.stat().st_size} bytes, sha256 {weights.revision}")
    by_threshold(path, people.part(sides == 2))


def by_threshold(path: Path, test: People) -> None:
    """Print how well the stored threshold does on the test half's balanced pairs."""
    weights = load_weights(path)
    pairs = draw_pairs(test.labels, PAIR_SEED)
    scores = pairs.scores(embed_images(weights.network, test.images))
    right = (scores >= weights.thresholds["best"].score) == pairs.same
    _, thresholds = ten_fold(scores, pairs.same, pairs.fold)
    print(f"at the stored threshold: {right.mean():.4f}")
    print(f"thresholds of the {FOLDS} folds: {thresholds.min():.3f} to {thresholds.max():.3f}")


def main() -> None:
    """Make the model (unless told not to) and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--evaluate-only", action="store_true")
    args = parser.parse_args()
    params = FaceParams()
    if not args.evaluate_only:
        print(json.dumps(asdict(params)))
        done = train_face(args.photos, args.out, params, show)
        print(f"trained in {done.metrics['train_seconds']:.0f} s", *done.warnings)
    people = read_people(args.photos, crop_for(params), silent)
    evaluate(args.out, people, params.holdout)


if __name__ == "__main__":
    main()
