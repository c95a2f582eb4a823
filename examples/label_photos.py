"""Names what is on each photo of a folder, without training, and writes a CSV file.

    .venv/bin/python examples/photos.py photos
    .venv/bin/python examples/label_photos.py photos labels.csv \\
        --label person --label animal --label rocket --label motorbike --at-least 0.6

A row has the photo's name, then its best labels and their probabilities. Probabilities are shared
among the given labels, so a photo of something else gets one too: `--at-least` leaves out those
that are less sure. A file that cannot be read gets none and stops nothing.
"""

import argparse
import csv
from pathlib import Path

from photos import photos_below

from latentspace import Client

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Label the photos of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--label", action="append", required=True, help="repeat it for each label")
    parser.add_argument("--top", type=int, default=2, help="labels of each photo")
    parser.add_argument("--at-least", type=float, default=0.0, help="smallest probability")
    given = parser.parse_args()

    photos = photos_below(given.folder)
    with Client() as ls:
        labelled = ls.classify(
            "clip",
            images=photos.values(),
            labels=given.label,
            templates="a photo of a {}",
            top_k=given.top,
            min_probability=given.at_least,
            on_error="return",
        )

    ranks = range(1, given.top + 1)
    columns = ["file", *(f"{what}_{n}" for n in ranks for what in ("label", "probability"))]
    with given.out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for name, labels in zip(photos, labelled, strict=True):
            row = [name]
            for one in labels:
                row += [one.label, f"{one.probability:.3f}"]
            rows.writerow(row + [""] * (len(columns) - len(row)))
    print(f"{sum(map(bool, labelled))} of {len(photos)} photos labelled in {given.out}")
