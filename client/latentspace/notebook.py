"""Results as HTML tables, as notebooks show them.

    from latentspace.notebook import show
    show(ls.search("photos", text="a dog"), images="~/photos")

Images are thumbnails where Pillow is installed and the payload field `path`, or else the id, names
a file below the folder of images. Nothing outside that folder is opened.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from latentspace.results.point import Page
from latentspace.results.search import Match, SearchResult
from latentspace.tables import Columns, Tabular, columns_of

ROWS = 20
_LETTERS = 120
_THUMBNAIL_PIXELS = 96
_NUMBER = ' style="text-align: right"'


@dataclass(frozen=True, slots=True)
class Shown:
    """A table; a notebook shows it, and `html` is its text."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show(
    result: Tabular,
    *,
    images: str | PathLike[str] = ".",
    path_field: str = "path",
    rows: int = ROWS,
) -> Shown:
    """The first rows of a result, payload fields as columns.

    Args:
        images: folder of the images; "~" is the home folder.
        path_field: payload field with the path of an image below it.
        rows: rows to show; how many there are beyond them is said.

    Raises:
        InvalidArgumentError: not a result that is a table (see `latentspace.tables`).
    """
    columns = columns_of(result, payload_columns=True)
    total = len(next(iter(columns.values()), ()))
    pictures = _pictures(result, Path(images).expanduser(), path_field, rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{_picture_cell(pictures, row)}{_cells(columns, row)}</tr>"
        for row in range(min(total, rows))
    )
    more = f"<p>and {total - rows:,} more rows</p>" if total > rows else ""
    first = "<th></th>" if any(pictures) else ""
    return Shown(f"<table><thead><tr>{first}{head}</tr></thead><tbody>{body}</tbody></table>{more}")


def _cells(columns: Columns, row: int) -> str:
    return "".join(_cell(column[row]) for column in columns.values())


def _cell(value: Any) -> str:
    if isinstance(value, np.ndarray):
        numbers = ", ".join(f"{number:.3g}" for number in value[:3])
        return f"<td>[{numbers}{', …' if len(value) > 3 else ''}]</td>"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "<td></td>"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"<td{_NUMBER}>{f'{value:.4f}' if isinstance(value, float) else value}</td>"
    text = str(value)
    short = text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
    return f"<td>{escape(short)}</td>"


def _picture_cell(pictures: Sequence[str], row: int) -> str:
    if not any(pictures):
        return ""
    data = pictures[row] if row < len(pictures) else ""
    return f'<td><img src="data:image/jpeg;base64,{data}"></td>' if data else "<td></td>"


def _pictures(result: Tabular, folder: Path, path_field: str, most: int) -> list[str]:
    """Thumbnails as base64 of JPEG for the first rows; "" where a row has none."""
    try:
        from latentspace.cli.drawing import thumbnail
        from latentspace.cli.finding import Finder
    except ImportError:  # without Pillow there are no thumbnails
        return []
    finder = Finder(folder, path_field)
    encoded = []
    for match in _matches(result)[:most]:
        path = finder.of_match(match)
        small = thumbnail(path, _THUMBNAIL_PIXELS) if path else None
        data = io.BytesIO()
        if small is not None:
            small.save(data, "JPEG")
        encoded.append(base64.b64encode(data.getvalue()).decode())
    return encoded


def _matches(result: Tabular) -> list[Match]:
    """What may have pictures, in the order of the table's rows."""
    if isinstance(result, SearchResult):
        return [match for matches in result for match in matches]
    points: Any = result.points if isinstance(result, Page) else result
    if not isinstance(points, list):
        return []
    return [
        point
        if isinstance(point, Match)
        else Match(point.id, 0.0, point.payload, modality=point.modality)
        for point in points
        if hasattr(point, "payload")
    ]
