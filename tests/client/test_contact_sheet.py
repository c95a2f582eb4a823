"""Contact sheets: pixels at the places where pictures, frames and texts should be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from latentspace import Match, Modality, PointInput, TextInput
from latentspace.cli.drawing import font, shortened, thumbnail, wrapped
from latentspace.cli.finding import Finder
from latentspace.cli.queries import Asked
from latentspace.cli.sheet import CAPTION, CELL, GAP, HEAD, LABEL, MARGIN, TITLE_LINE, save_sheet
from latentspace.results.search import result_of
from latentspace.v1 import search_service_pb2 as pb

RED, GREEN, WHITE = (200, 30, 30), (30, 160, 60), (255, 255, 255)
TEXT_HEAD = LABEL + TITLE_LINE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    Image.new("RGB", (300, 300), RED).save(folder / "red.png")
    Image.new("RGB", (40, 30), GREEN).save(folder / "deep" / "green.jpg", quality=100)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    Image.new("RGB", (30, 30), RED).save(tmp_path / "outside.png")
    return folder


def result(*queries: list[str]) -> Any:
    ids = [one for query in queries for one in query]
    scores = np.linspace(1, 0.5, len(ids), dtype="<f4").tobytes()
    results = pb.SearchResults(ids=ids, scores=scores, counts=[len(query) for query in queries])
    return result_of([(len(queries), pb.SearchResponse(results=results))], 1)


def drawn(tmp_path: Path, root: Path, asked: list[Asked], *queries: list[str]) -> Any:
    """The pixels of a sheet, (height, width, 3)."""
    out = tmp_path / "out.png"
    save_sheet(out, asked, result(*queries), Finder(root, "path"))
    with Image.open(out) as opened:
        assert opened.format == "PNG"
        return np.asarray(opened.convert("RGB")).astype(int)


def test_hits_without_an_image_are_named(tmp_path: Path, root: Path) -> None:
    found = result(["red.png", "gone.png", "broken.png"])
    undrawn = save_sheet(
        tmp_path / "out.png", [Asked("a", TextInput("a"))], found, Finder(root, "path")
    )
    assert undrawn == ["gone.png", "broken.png"]


def middle(pixels: Any, column: int, top: int) -> Any:
    """The middle of a cell."""
    x = MARGIN + column * (CELL + GAP) + CELL // 2
    return pixels[top + GAP + CELL // 2, x]


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel - np.array(colour)).max() < 12)


def test_one_query(tmp_path: Path, root: Path) -> None:
    hits = ["red.png", "deep/green.jpg", "gone.png", "broken.png", "red.png", "deep/green.jpg"]
    pixels = drawn(tmp_path, root, [Asked("a red thing", TextInput("a red thing"))], hits)
    top = MARGIN + TEXT_HEAD
    seen = [middle(pixels, column, top) for column in range(5)]
    assert [near(one, RED) for one in seen] == [True, False, False, False, True]
    assert [near(one, GREEN) for one in seen] == [False, True, False, False, False]
    assert [near(one, WHITE) for one in seen] == [False, False, True, True, False]
    # five a row, the sixth below the first
    assert near(middle(pixels, 0, top + GAP + CELL + CAPTION), GREEN)
    assert pixels.shape[1] == 2 * MARGIN + 5 * (CELL + GAP) - GAP
    # an empty frame has an outline, and something is written below it and as the title
    left = MARGIN + 2 * (CELL + GAP)
    assert not near(pixels[top + GAP + CELL // 2, left], WHITE)
    assert pixels[top + GAP + CELL + 5 : top + GAP + CELL + CAPTION, left : left + CELL].min() < 80
    assert pixels[MARGIN + LABEL : top, MARGIN : MARGIN + 300].min() < 80


def test_the_query_is_an_image(tmp_path: Path, root: Path) -> None:
    by_file = Asked("red.png", TextInput(""), picture=root / "red.png")
    by_point = Asked("red.png", PointInput("red.png"), point="red.png")
    for asked in (by_file, by_point):
        pixels = drawn(tmp_path, root, [asked], ["deep/green.jpg"])
        assert near(pixels[MARGIN + HEAD // 2, MARGIN + HEAD // 2], RED)
        assert near(middle(pixels, 0, MARGIN + HEAD), GREEN)


def test_several_queries_have_a_row_each(tmp_path: Path, root: Path) -> None:
    asked = [Asked(name, TextInput(name)) for name in ("one", "two", "none")]
    pixels = drawn(tmp_path, root, asked, ["red.png"] * 12, ["deep/green.jpg"], [])
    assert pixels.shape[1] == 2 * MARGIN + 10 * (CELL + GAP) - GAP
    top = MARGIN + TEXT_HEAD
    assert all(near(middle(pixels, column, top), RED) for column in range(10))
    below = top + GAP + CELL + CAPTION + 2 * MARGIN + TEXT_HEAD
    assert near(middle(pixels, 0, below), GREEN)
    assert near(middle(pixels, 1, below), WHITE)


def test_only_files_under_the_root_are_opened(tmp_path: Path, root: Path) -> None:
    finder = Finder(root, "path")
    assert finder.of_match(Match("red.png", 1.0)) == root / "red.png"
    assert finder.of_match(Match("x", 1.0, {"path": "deep/green.jpg"})) == root / "deep/green.jpg"
    assert finder.of_match(Match("x", 1.0, {"path": str(root / "red.png")})) == root / "red.png"
    assert finder.of_match(Match("red.png", 1.0, {"path": "gone.png"})) == root / "red.png"
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    outside = [
        "../outside.png",
        str(tmp_path / "outside.png"),
        "link.png",
        "",
        "deep",
        "a\0b",
        "x" * 9999,
    ]
    for name in outside:
        assert finder.of_match(Match(name, 1.0, {"path": name})) is None
    assert finder.of_match(Match("red.png", 1.0, {"path": 7})) == root / "red.png"
    assert finder.of_match(Match("red.png", 1.0, modality=Modality.TEXT)) is None
    assert Finder(root, "file").of_match(Match("x", 1.0, {"file": "red.png"})) == root / "red.png"


def test_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (100, 50), (0, 0, 0, 0)).save(path)
    clear = thumbnail(path, 50)
    assert clear is not None
    assert (clear.size, clear.getpixel((5, 5))) == ((50, 25), WHITE)
    turned = Image.new("RGB", (100, 50), RED)
    exif = turned.getexif()
    exif[0x0112] = 6  # lies on its side
    turned.save(tmp_path / "b.jpg", exif=exif)
    upright = thumbnail(tmp_path / "b.jpg", 50)
    assert upright is not None
    assert upright.size == (25, 50)
    Image.new("1", (10, 10), 1).save(path)
    assert thumbnail(path, 50) is not None


def test_texts_fit() -> None:
    face = font(14)
    assert isinstance(face, ImageFont.FreeTypeFont)
    assert shortened("a.png", face, 100) == "a.png"
    for name in ("deep/" * 50 + "beach.jpg", "W" * 5000, "字" * 300):
        short = shortened(name, face, 100)
        assert short.startswith("...")
        assert name.endswith(short[3:])
        assert face.getlength(short) <= 100
    text = "several words that do not fit into one line of this width"
    parts = wrapped(text, face, 150, 9)
    assert " ".join(parts) == text
    assert all(face.getlength(line) <= 150 for line in parts)
    cut = wrapped(text, face, 150, 2)
    assert (cut[0], len(cut), cut[1].endswith("...")) == (parts[0], 2, True)
    assert face.getlength(wrapped("W" * 500, face, 150, 2)[0]) <= 150
    assert wrapped("", face, 150, 2) == []
