"""Folders in the layout of the BEIR benchmark: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedders.errors import OptionError
from embedders.evaluation.files import inside
from embedders.evaluation.words import read_lines

COLUMNS = 3


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Documents and queries by id, and for each query its judged documents with their grades."""

    documents: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def read_beir(folder: Path, split: str) -> RetrievalSet:
    """A test set; only queries with at least one relevant document are kept.

    Raises:
        OptionError: a file is missing or not as the layout says; it is named.
    """
    if not folder.is_dir():
        raise OptionError("source", f"{folder.name} is not a folder with corpus.jsonl")
    documents = {
        name: f"{line.get('title') or ''} {line['text']}".strip()
        for name, line in _lines(folder, "corpus.jsonl")
    }
    grades = _grades(folder, split)
    queries = {
        name: line["text"] for name, line in _lines(folder, "queries.jsonl") if name in grades
    }
    if not queries or not documents:
        raise OptionError("source", f"{folder.name}: qrels/{split}.tsv judges no known query")
    return RetrievalSet(documents, queries, {name: grades[name] for name in queries})


def _lines(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ids and objects of a file of JSON lines."""
    for number, line in enumerate(read_lines(inside(folder, name)), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            if not isinstance(found["_id"], str) or not isinstance(found["text"], str):
                raise TypeError
        except (ValueError, KeyError, TypeError) as error:
            message = f'{name}: line {number} is not an object with the texts "_id" and "text"'
            raise OptionError("source", message) from error
        yield found["_id"], found


def _grades(folder: Path, split: str) -> dict[str, dict[str, int]]:
    name = f"qrels/{split}.tsv"
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_lines(inside(folder, name)), 1):
        cells = line.split()
        if not cells or (number == 1 and cells[-1] == "score"):
            continue
        if len(cells) != COLUMNS or not cells[2].lstrip("-").isdigit():
            message = f"{name}: line {number} is not a query's id, a document's id and a grade"
            raise OptionError("source", message)
        grades.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    return {query: known for query, known in grades.items() if max(known.values()) > 0}
