"""What a notebook shows of results."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentspace import Client, Embeddings, InvalidArgumentError, Match, Point
from latentspace.notebook import show
from latentspace.results.listing import Listing


class Cells(HTMLParser):
    """The cells of a table, row by row, and the pictures in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.pictures: list[bytes] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            source = dict(attributes)["src"] or ""
            self.pictures.append(base64.b64decode(source.removeprefix("data:image/jpeg;base64,")))

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


MATCHES = Listing(
    [
        Match("a", 0.75, {"title": "<script>alert(1)</script>", "year": 2020, "_digest": "x"}),
        Match(
            "b",
            -0.123456,
            {"title": "x" * 500, "score": None},
            vector=Embeddings(np.arange(4, dtype=np.float32)),
        ),
    ]
)


def test_payload_fields_are_columns_and_text_stays_text() -> None:
    rows = Cells(MATCHES._repr_html_()).rows
    assert rows[0] == ["rank", "id", "score", "vector", "title", "year", "payload.score"]
    assert rows[1] == ["1", "a", "0.7500", "", "<script>alert(1)</script>", "2020", ""]
    assert rows[2] == ["2", "b", "-0.1235", "[0, 1, 2, …]", "x" * 119 + "…", "", ""]


def test_only_the_first_rows() -> None:
    shown = show([Match(str(i), float(i)) for i in range(25)], rows=3)
    assert len(Cells(shown.html).rows) == 4
    assert shown.html.endswith("<p>and 22 more rows</p>")
    assert shown._repr_html_() == shown.html


def test_thumbnails_of_images_below_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (400, 200), "red").save(folder / "red.png")
    Image.new("RGB", (400, 200), "red").save(tmp_path / "outside.png")
    points = [
        Point("1", payload={"path": "red.png"}),
        Point("red.png"),
        Point("../outside.png"),
        Point("4", payload={"path": "missing.png"}),
    ]
    cells = Cells(show(points, images=folder).html)
    assert [len(row) for row in cells.rows] == [3] * 5
    assert len(cells.pictures) == 2
    with Image.open(io.BytesIO(cells.pictures[0])) as picture:
        assert picture.size == (96, 48)
        assert np.abs(np.asarray(picture, int).mean((0, 1)) - [255, 0, 0]).max() < 3


def test_what_is_no_table_shows_nothing() -> None:
    assert Listing(["just", "texts"])._repr_html_() == ""
    with pytest.raises(InvalidArgumentError, match="expected what search"):
        show("text")  # type: ignore[arg-type]


def test_slices_of_listings_are_listings() -> None:
    assert isinstance(MATCHES[:1], Listing)
    assert MATCHES[:1] == [MATCHES[0]]
    assert MATCHES[-1].id == "b"


def test_results_of_calls_are_shown(client: Client) -> None:
    assert Cells(client.search("words", key="man", k=2)._repr_html_()).rows[0][:2] == ["rank", "id"]
    batch = client.search_batch("words", keys=["man", "woman"], k=2)
    assert len(Cells(batch._repr_html_()).rows) == 5
    assert Cells(client.models()._repr_html_()).rows[0][:2] == ["id", "family"]
    assert Cells(client.collections()._repr_html_()).rows[0][:2] == ["name", "points"]
    assert Cells(client.get("words", ["man"])._repr_html_()).rows[1][0] == "man"
