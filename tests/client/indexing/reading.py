"""What the tests of sources share."""

import csv
from pathlib import Path
from typing import Any

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.options import SourceOptions
from latentspace.inputs import KeyInput, TextInput

Row = tuple[str, str, dict[str, Any]]


def opened(path: Path, **options: Any) -> Source:
    return open_source(str(path), SourceOptions(**options))


def read(path: Path, **options: Any) -> list[Record | BadRecord]:
    return list(opened(path, **options))


def records(path: Path, **options: Any) -> list[Record]:
    """All of a source in which nothing is bad."""
    items = read(path, **options)
    bad = [item for item in items if isinstance(item, BadRecord)]
    assert not bad
    return [item for item in items if isinstance(item, Record)]


def until_error(source: Source) -> tuple[list[Record | BadRecord], str]:
    """What came, and what the error says."""
    items: list[Record | BadRecord] = []
    try:
        items.extend(iter(source))
    except SourceError as error:
        return items, str(error)
    raise AssertionError("no error came")


def row(record: Record | BadRecord) -> Row:
    """Id, text or key, and payload."""
    assert isinstance(record, Record)
    assert isinstance(record.input, TextInput | KeyInput)
    return record.id, record.input.value, record.payload


def fault(item: Record | BadRecord) -> tuple[str, str, str]:
    """Place, reason and id of what is bad."""
    assert isinstance(item, BadRecord)
    return item.place, item.reason, item.id


def write_csv(path: Path, header: list[str], rows: list[list[str]], **options: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **options)
        writer.writerow(header)
        writer.writerows(rows)
    return path
