"""Contact sheets: queries, and thumbnails of what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from latentspace.cli.drawing import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    PAGE,
    font,
    place_thumbnail,
    shortened,
    wrapped,
)
from latentspace.cli.finding import Finder, has_picture
from latentspace.cli.queries import Asked
from latentspace.results.search import Match, SearchResult

# pixels
MARGIN, GAP, CELL, CAPTION, HEAD, LABEL, TITLE_LINE = 36, 18, 200, 50, 150, 24, 34

# A single query fills rows of five, each of several has one row. So a sheet stays below about
# 100 million pixels.
ROW, MOST_HITS, LONGEST_ROW, MOST_QUERIES = 5, 100, 10, 40
TITLE_LINES = 3


@dataclass(frozen=True, slots=True)
class Band:
    """A query and its hits, with what is to be drawn of them.

    Args:
        label: above the title.
        columns: hits side by side.
    """

    label: str
    title: list[str]
    picture: Path | None
    hits: list[Match]
    columns: int

    @property
    def head(self) -> int:
        """Height of the part above the hits, in pixels."""
        text = LABEL + TITLE_LINE * len(self.title)
        return max(HEAD, text) if self.picture else text

    @property
    def height(self) -> int:
        """Height in pixels."""
        rows = -(-len(self.hits) // self.columns)
        return self.head + (rows * (GAP + CELL + CAPTION) if rows else TITLE_LINE)


def save_sheet(
    path: Path, asked: Sequence[Asked], result: SearchResult, finder: Finder
) -> list[str]:
    """Draws queries and the images they found, and writes them as PNG.

    Up to 100 hits of one query, or 10 hits each of up to 40 queries; a hit whose file is not
    there is an empty frame.

    Returns:
        Names of the hits that may have an image (what was made from text has none) and show none.

    Raises:
        OSError: the file cannot be written.
    """
    single = len(asked) == 1
    most = MOST_HITS if single else LONGEST_ROW
    shown = [result[i][:most] for i in range(min(len(asked), MOST_QUERIES))]
    columns = ROW if single else max(ROW, *map(len, shown))
    width = 2 * MARGIN + columns * (CELL + GAP) - GAP
    bands = [
        _band(one, "QUERY" if single else f"QUERY {i + 1}", hits, columns, finder)
        for i, (one, hits) in enumerate(zip(asked, shown, strict=False))
    ]
    height = sum(band.height + 2 * MARGIN for band in bands)
    page = Image.new("RGB", (width, height), PAGE)
    undrawn: list[str] = []
    top = MARGIN
    for band in bands:
        if top > MARGIN:
            line = (MARGIN, top - MARGIN, width - MARGIN, top - MARGIN)
            ImageDraw.Draw(page).line(line, LINE, 1)
        _draw_head(page, band, top)
        undrawn += _draw_hits(page, band, top + band.head, finder)
        top += band.height + 2 * MARGIN
    page.save(path, "PNG")
    return undrawn


def _band(one: Asked, label: str, hits: list[Match], columns: int, finder: Finder) -> Band:
    picture = one.picture
    if picture is None and one.point:
        picture = finder.under_root(one.point)
    width = columns * (CELL + GAP) - GAP - (HEAD + GAP if picture else 0)
    title = wrapped(one.name, font(26), width, TITLE_LINES)
    return Band(label, title, picture, hits, columns)


def _draw_head(page: Image.Image, band: Band, top: int) -> None:
    left = MARGIN
    if band.picture:
        place_thumbnail(page, band.picture, (left, top, left + HEAD, top + HEAD))
        left += HEAD + GAP
    draw = ImageDraw.Draw(page)
    draw.text((left, top), band.label, MUTED, font(14))
    for number, line in enumerate(band.title):
        draw.text((left, top + LABEL + number * TITLE_LINE), line, INK, font(26))


def _draw_hits(page: Image.Image, band: Band, top: int, finder: Finder) -> list[str]:
    """Draws the hits of a band; names of those whose image is missing."""
    undrawn = []
    if not band.hits:
        ImageDraw.Draw(page).text((MARGIN, top), "nothing found", MUTED, font(16))
    for number, match in enumerate(band.hits):
        row, column = divmod(number, band.columns)
        left = MARGIN + column * (CELL + GAP)
        above = top + GAP + row * (GAP + CELL + CAPTION)
        box = (left, above, left + CELL, above + CELL)
        if not place_thumbnail(page, finder.of_match(match), box) and has_picture(match):
            undrawn.append(match.id)
        _draw_caption(page, match, number + 1, left, above + CELL + 8)
    return undrawn


def _draw_caption(page: Image.Image, match: Match, rank: int, left: int, top: int) -> None:
    draw = ImageDraw.Draw(page)
    score = f"{match.score:.3f}"
    draw.text((left, top), score, ACCENT, font(17))
    beside = f"#{rank}" if match.group is None else str(match.group)
    room = CELL - round(font(17).getlength(score)) - GAP
    draw.text((left + CELL, top), shortened(beside, font(14), room), MUTED, font(14), anchor="ra")
    draw.text((left, top + 23), shortened(match.id, font(14), CELL), INK, font(14))
