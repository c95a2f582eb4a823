"""Examples on photos. What is asserted has wide margins: the shipped models are small."""

import csv
import re
from pathlib import Path

import pytest

from tests.examples.conftest import Run, Show

LABELS = ["person", "animal", "rocket", "motorbike"]


def found_photos(output: str) -> dict[str, list[str]]:
    """The photos below each question, best first."""
    parts = re.findall(r"^(\w.*)\n((?:  -?[\d.]+  .*\n)+)", output, re.MULTILINE)
    return {question: [line.split()[1] for line in rows.splitlines()] for question, rows in parts}


@pytest.mark.usefixtures("photos")
def test_photo_search_in_the_samples(show: Show) -> None:
    for _ in range(2):
        output = show("photo_search.py")
        assert output.startswith("8 photos in the collection example-photos\n")
        found = found_photos(output)
        assert found["text: a rocket launch into the sky"][0] == "rocket.jpg"
        assert set(found["photos like rocket.jpg"][:2]) == {"flower.jpg", "palace.jpg"}
        assert found["rocket.jpg, but a furry animal"][0] == "cat.jpg"


@pytest.mark.parametrize(
    ("text", "photo"), [("a furry animal", "cat.jpg"), ("a red flower", "flower.jpg")]
)
def test_photo_search_in_a_folder(show: Show, photos: Path, text: str, photo: str) -> None:
    output = show("photo_search.py", photos, text, "--but", "a rocket launch into the sky")
    assert "left out broken.jpg: not a readable image" in output
    found = found_photos(output)
    assert found[f"text: {text}"][0] == photo
    assert photo not in found[f"photos like {photo}"]
    assert found[f"{photo}, but a rocket launch into the sky"][0] == "rocket.jpg"


def test_a_folder_without_photos(run: Run, tmp_path: Path) -> None:
    done = run("photo_search.py", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"{tmp_path} holds no photos\n")


def labelled(show: Show, photos: Path, out: Path, *more: object) -> list[dict[str, str]]:
    options = [word for label in LABELS for word in ("--label", label)]
    show("label_photos.py", photos, out, *options, *more)
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_label_photos(show: Show, photos: Path, tmp_path: Path) -> None:
    rows = labelled(show, photos, tmp_path / "labels.csv", "--top", 4)
    ranks = range(1, 5)
    columns = ["file", *(f"{what}_{n}" for n in ranks for what in ("label", "probability"))]
    assert [list(row) for row in rows] == [columns] * 9
    assert [row["file"] for row in rows] == sorted(path.name for path in photos.iterdir())
    first = {row["file"]: row["label_1"] for row in rows}
    assert first["cat.jpg"] == "animal"
    assert first["rocket.jpg"] == "rocket"
    assert first["motorcycle.jpg"] == "motorbike"
    assert first["broken.jpg"] == ""
    for row in rows:
        shares = [float(row[f"probability_{n}"] or 0) for n in ranks]
        assert shares == sorted(shares, reverse=True)
        if first[row["file"]]:
            assert sum(shares) == pytest.approx(1, abs=0.003)
            assert {row[f"label_{n}"] for n in ranks} == set(LABELS)


def test_labels_that_are_not_sure_are_left_out(show: Show, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    everything = labelled(show, photos, out)
    sure = labelled(show, photos, out, "--at-least", 0.8)
    for full, row in zip(everything, sure, strict=True):
        # the file rounds to three places
        keeps = float(full["probability_1"] or 0) >= 0.8
        assert row["label_1"] == (full["label_1"] if keeps else "")
        assert row["label_2"] == ""
    assert {row["file"] for row in sure if not row["label_1"]} >= {"coffee.jpg", "broken.jpg"}


def people_of(output: str) -> set[frozenset[str]]:
    parts = re.findall(r"^person \d+\n((?:  .*\n)+)", output, re.MULTILINE)
    return {frozenset(line.split()[0] for line in rows.splitlines()) for rows in parts}


def test_group_faces(show: Show, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="one face comes with scikit-image")
    pytest.importorskip("matplotlib", reason="the other face comes with matplotlib")
    output = show("group_faces.py")
    assert output.startswith("2 people, 10 faces, 10 photos\n")
    assert output.endswith("cat.jpg: NO_FACE\n")
    changes = ("", "-mirrored", "-bright", "-cropped")
    assert people_of(output) == {
        frozenset({"both.jpg", *(f"{name}{change}.jpg" for change in changes)})
        for name in ("collins", "hopper")
    }
    # in the photo of both, Collins is on the left and Hopper, larger, on the right
    boxes = re.findall(r"both\.jpg +(\d+) pixels wide at (\d+), (\d+)", output)
    (hopper, collins) = sorted(((int(w), int(x)) for w, x, _ in boxes), reverse=True)
    assert collins[1] + collins[0] < 512 < hopper[1]

    show("photos.py", tmp_path, "--faces")
    apart = show("group_faces.py", tmp_path, "--threshold", 1.1)
    assert apart.startswith("10 people, 10 faces, 10 photos\n")
