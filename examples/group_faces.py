"""Photos grouped by the people on them.

    .venv/bin/python examples/group_faces.py
    .venv/bin/python examples/group_faces.py ~/Pictures --threshold 0.4

Without a folder it groups sample photos of two people. Every face becomes a vector; two faces
whose cosine reaches a threshold are one person, and so are faces that a chain of such pairs
connects. The model's own threshold is meant for single pairs: in a large folder one wrong pair
joins two people, so raise it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from photos import photos_below, write_faces
from scipy.sparse.csgraph import connected_components

from latentspace import Client


def print_people(ls: Client, folder: Path, threshold: float) -> None:
    """Finds the faces on all photos and prints them person by person, most faces first."""
    photos = photos_below(folder)
    names = list(photos)
    faces = ls.embed_batch("faces", images=photos.values(), on_error="return")
    same = faces.rows @ faces.rows.T >= threshold  # rows have unit length
    people, person_of = connected_components(same, directed=False)
    print(f"{people} people, {len(faces)} faces, {len(photos)} photos")
    for rank, person in enumerate(np.argsort(-np.bincount(person_of), kind="stable"), start=1):
        print(f"person {rank}")
        for face in np.flatnonzero(person_of == person):
            box = faces.regions[face]
            where = f"{box.width:.0f} pixels wide at {box.x:.0f}, {box.y:.0f}"
            print(f"  {names[faces.index[face]]:24}{where}")
    for position, error in faces.errors.items():
        print(f"{names[position]}: {error.reason}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Group photos by the people on them.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--threshold", type=float, help="cosine of one person (the model's own)")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as samples, Client() as ls:
        if given.folder is None:
            write_faces(Path(samples))
        threshold = given.threshold or ls.model("faces").same_threshold or 0.4
        print_people(ls, given.folder or Path(samples), threshold)
