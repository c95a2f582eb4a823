"""What arguments of the command line stand for, against a server whose model takes both kinds."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentspace import Client
from latentspace.cli.options import Kind
from latentspace.cli.reading import Reader
from latentspace.inputs import ImageInput, TextInput
from tests.client.fake.world import WORDS, vector_of, words_matrix
from tests.client.test_cli import Run, run
from tests.long import examples

__all__ = ["run"]  # a fixture

LABELS = ("--label", "cat", "--label", "dog")
PATHS = (
    "nope.jpg",
    "nope.HEIC",
    "missing/",
    "./nope",
    "../nope",
    "~/nope",
    "pictures/nope",
    "/no/such/file",
    "https://example.com/cat.png",
    "file:///tmp/cat.png",
    "data:image/png;base64,iVBOR",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two pictures and an empty folder."""
    (tmp_path / "shots" / "deep").mkdir(parents=True)
    (tmp_path / "shots" / "a.png").write_bytes(b"first picture")
    (tmp_path / "shots" / "deep" / "b.JPG").write_bytes(b"second picture")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_cannot_be_read_is_never_a_text(run: Run, path: str) -> None:
    alone = run("embed", "both", path)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert path in alone.stderr
    assert "--as text" in alone.stderr
    mixed = run("embed", "both", "a cat", path, "shots/a.png", "--json")
    assert mixed.returncode == 4
    rows = [json.loads(line) for line in mixed.stdout.splitlines()]
    assert [row["input"] for row in rows] == ["a cat", "shots/a.png"]
    np.testing.assert_allclose(rows[0]["vector"], vector_of(b"a cat"), rtol=1e-6)
    np.testing.assert_allclose(rows[1]["vector"], vector_of(b"first picture\0"), rtol=1e-6)
    assert mixed.stderr.startswith(f"latentspace: item 1 ({path}): ")
    meant = run("embed", "both", path, "--as", "text", "--json")
    assert meant.returncode == 0
    np.testing.assert_allclose(
        json.loads(meant.stdout)["vector"], vector_of(path.encode()), rtol=1e-6
    )


def test_urls_are_named(run: Run) -> None:
    for command in (["embed", "both"], ["embed", "faces"], ["embed", "sentences"]):
        done = run(*command, "https://example.com/cat.png")
        assert (done.returncode, "URLs are not fetched" in done.stderr) == (1, True)


def test_folders(run: Run) -> None:
    done = run("embed", "both", "shots", "empty", "--json")
    assert done.returncode == 4
    names = [json.loads(line)["input"] for line in done.stdout.splitlines()]
    assert names == ["shots/a.png", "shots/deep/b.JPG"]
    assert "item 2 (empty): the folder has no images" in done.stderr
    assert run("compare", "both", "shots", "a cat").returncode == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_closed_folders_and_files(run: Run, folder: Path) -> None:
    (folder / "shots" / "deep").chmod(0)
    try:
        done = run("embed", "both", "shots")
    finally:
        (folder / "shots" / "deep").chmod(0o700)
    assert (done.returncode, "cannot be read" in done.stderr) == (4, True)


def test_classify_and_compare(run: Run) -> None:
    done = run("classify", "both", "nodir/", *LABELS)
    assert (done.returncode, done.stdout) == (1, "")
    done = run("classify", "both", "a cat", "nope.png", *LABELS, "--top", "1", "--json")
    assert done.returncode == 4
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["a cat"]
    wrong = run("compare", "both", "nope.png", "a cat")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    # one is an image and the other a text: neither changes what the other is
    crossed = json.loads(run("compare", "both", "shots/a.png", "a cat", "--json").stdout)
    expected = float(vector_of(b"first picture\0") @ vector_of(b"a cat"))
    assert crossed["score"] == pytest.approx(expected, abs=1e-6)


def test_search_by_lines(run: Run, address: str, folder: Path) -> None:
    assert run("collections", "create", "mixed", "--model", "both").returncode == 0
    lines = folder / "lines.txt"
    lines.write_text("shots/a.png\nnope.png\na cat\n")
    with Client(address) as client:
        client.upsert("mixed", ["cat", "dog"], texts=["a cat", "a dog"])
    done = run("search", "mixed", "--file", str(lines), "-k", "1", "--json")
    assert done.returncode == 4
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["query"] for one in answers] == ["shots/a.png", "a cat"]
    assert answers[1]["score"] == pytest.approx(1.0, abs=1e-6)
    assert "item 1 (nope.png): there is no such file" in done.stderr
    added = run("search", "mixed", "--text", "a cat", "--plus", "nope.png")
    assert (added.returncode, "--plus nope.png: there is no such file" in added.stderr) == (2, True)


def test_rows_of_a_file_stand_for_the_items(run: Run) -> None:
    done = run("embed", "both", "a cat", "nope.png", "shots/a.png", "--out", "rows.npy")
    assert done.returncode == 4
    rows = np.load("rows.npy", allow_pickle=False)
    assert rows.shape[0] == 3
    assert np.isnan(rows[1]).all()
    np.testing.assert_array_equal(
        rows[[0, 2]], [vector_of(b"a cat"), vector_of(b"first picture\0")]
    )


def test_models_without_images(run: Run, folder: Path) -> None:
    for text in ("and/or", "3.5", "a photo of photo.jpg", "shots", "AC/DC", "."):
        assert run("embed", "sentences", text).returncode == 0, text
    (folder / "notes.txt").write_text("a line\n")
    for path in ("cat.jpg", "./x", "~/x", "/etc/hosts", "notes.txt"):
        done = run("embed", "sentences", path)
        assert (done.returncode, "--as text" in done.stderr) == (1, True), path
        assert run("embed", "sentences", path, "--as", "text").returncode == 0
    # lines of a file are data: nothing is guessed about them
    assert run("embed", "sentences", "--file", "-", stdin="cat.jpg\n/etc/hosts\n").returncode == 0
    # keys are keys, whatever they look like
    assert "'cat.jpg' is not in the vocabulary" in run("embed", "words", "cat.jpg").stderr


def test_points_that_are_there_are_shown(run: Run) -> None:
    done = run("collections", "get", "words", "king", "qween", "--json")
    assert done.returncode == 4
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["king"]
    assert run("collections", "get", "words", "qween", "kween").returncode == 1


def test_sheets_whose_root_is_wrong(run: Run, address: str) -> None:
    with Client(address) as client:
        client.create_collection("photos", model="both")
        client.upsert("photos", ["a.png", "b.png"], images=["shots/a.png", "shots/deep/b.JPG"])
    search = ["search", "photos", "--text", "a", "--sheet", "sheet.png", "--root"]
    wrong = run(*search, "empty")
    assert (wrong.returncode, wrong.stdout.count("\n")) == (4, 2)
    assert "and 1 more below empty; --root names the folder" in wrong.stderr
    absent = run(*search, "nowhere")
    assert (absent.returncode, "--root nowhere" in absent.stderr) == (2, True)


def test_a_misspelt_label(run: Run, address: str) -> None:
    with Client(address) as client:
        client.create_collection("gallery", model="both")
        person = [{"person": "Ada"}]
        client.upsert("gallery", ["ada"], images=["shots/a.png"], payloads=person)
    identify = ["identify", "gallery", "shots/a.png", "--threshold", "0.9", "--json"]
    right = run(*identify, "--label", "person")
    assert (right.returncode, json.loads(right.stdout)["name"]) == (0, "Ada")
    typo = run(*identify, "--label", "persn")
    assert typo.returncode == 1
    assert "a payload field 'persn'; did you mean 'person'?" in typo.stderr


NAMES = st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8"), min_size=1, max_size=12)


@given(NAMES, st.sampled_from(["/", "./", "~/", "x/", ""]), st.sampled_from([".jpg", ".TIFF", ""]))
@settings(deadline=None, max_examples=examples(100))
def test_made_up_paths(name: str, before: str, after: str) -> None:
    argument = before + name + after
    readings = list(Reader(Kind.TEXT, images=True, guesses=True).read(argument))
    for read_name, reading in readings:
        if isinstance(reading, TextInput):
            # a text is only what says nothing of a path and is no file here
            assert not before
            assert not after
            assert "/" not in name
            assert not os.path.lexists(argument)
            assert (read_name, reading.value) == (argument, argument)
        elif isinstance(reading, ImageInput):
            assert os.path.isfile(str(reading.source))
        else:
            assert "--as text" in str(reading)


def test_lines_of_files(run: Run, folder: Path) -> None:
    """Byte order marks, blank lines, and letters that other readers take for ends of lines."""
    embed = ["embed", "words", "--json", "--file"]
    (folder / "keys_bom.txt").write_bytes(b"\xef\xbb\xbfking\r\nqueen\r\n")
    done = run(*embed, "keys_bom.txt")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["king", "queen"]
    (folder / "keys_blank.txt").write_text("king\n\nqueen\n\nman\n")
    done = run("embed", "words", "--file", "keys_blank.txt", "--out", "rows.npy")
    assert done.returncode == 0
    assert "keys_blank.txt: 2 blank lines left out; the other 3 keep their order" in done.stderr
    expected = [words_matrix()[WORDS.index(word)] for word in ("king", "queen", "man")]
    np.testing.assert_allclose(np.load("rows.npy"), expected, rtol=1e-6)
    lines = ["first", "second\u2028still", "third\x85still", "fourth\x0cstill", "fifth\rstill"]
    (folder / "lines.txt").write_bytes("\n".join(lines).encode())
    done = run("embed", "sentences", "--json", "--file", "lines.txt")
    rows = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert [row["input"] for row in rows] == lines
    for row, line in zip(rows, lines, strict=True):
        np.testing.assert_allclose(row["vector"], vector_of(line.encode()), rtol=1e-6)


def test_labels_of_a_file(run: Run, folder: Path) -> None:
    (folder / "labels_bom.txt").write_bytes(b"\xef\xbb\xbfcat\ndog\n")
    made = run("labels", "create", "pets", "--model", "sentences", "--file", "labels_bom.txt")
    assert made.returncode == 0, made.stderr
    assert json.loads(run("labels", "show", "pets", "--json").stdout)["labels"] == ["cat", "dog"]


def test_a_line_that_cannot_be_read_fails_alone(run: Run, folder: Path) -> None:
    (folder / "keys.txt").write_bytes(b"king\nqu\xffen\nrome\n")
    done = run("embed", "words", "--file", "keys.txt", "--json")
    assert done.returncode == 4
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["king", "rome"]
    assert "line 2 " in done.stderr
    refused = run("labels", "create", "x", "--model", "sentences", "--file", "keys.txt")
    assert (refused.returncode, "keys.txt: line 2 " in refused.stderr) == (2, True)


def test_a_word_that_may_be_a_misspelt_folder_is_told(run: Run) -> None:
    done = run("classify", "both", "nodir", "two words", "--label", "a", "--label", "b")
    assert done.returncode == 0
    assert done.stderr == (
        "latentspace: taken for text, since there is no such file: nodir (--as text says so)\n"
    )
    assert run("classify", "both", "nodir", "--as", "text", "--label", "a").stderr == ""
