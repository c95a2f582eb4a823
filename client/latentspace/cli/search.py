"""latentspace search"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode, UsageError, complain
from latentspace.cli.options import (
    FileOption,
    FilterOption,
    KindOption,
    LimitOption,
    filter_of,
    input_of,
    kind_for,
    lines_of,
)
from latentspace.cli.output import Output
from latentspace.inputs import ImageInput, Input, KeyInput, PointInput, TextInput, VectorInput
from latentspace.requests.options import SearchParams
from latentspace.results.search import SearchResult
from latentspace.sync.client import Client


def search(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="Name or alias of a collection.")],
    text: Annotated[str | None, typer.Option(help="Search by a text.")] = None,
    key: Annotated[str | None, typer.Option(help="Search by a word or node.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search by an image file.")] = None,
    point: Annotated[str | None, typer.Option(help="Search by a stored point.")] = None,
    vector: Annotated[
        str | None, typer.Option(help="Search by a JSON list of numbers, or a .npy file.")
    ] = None,
    file: FileOption = None,
    kind: KindOption = None,
    k: LimitOption = 10,
    filter: FilterOption = None,
    threshold: Annotated[
        float | None, typer.Option("--score-threshold", help="Only scores from here on.")
    ] = None,
    ef: Annotated[int, typer.Option(min=0, help="HNSW effort.")] = 0,
    nprobe: Annotated[int, typer.Option(min=0, help="IVF lists visited.")] = 0,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every point.")] = False,
) -> None:
    """Find the nearest points of one query, or of every line of a file."""
    tree = filter_of(filter)
    single = _single(text, key, image, point, vector)
    if len(single) > 1 or (single and file is not None):
        raise UsageError("pass one of --text, --key, --image, --point, --vector, --file")
    # one query is a batch of one too: errors and rows are then printed the same way
    names, queries = _named(single) if single else _lines(client, collection, file, kind)
    result = client.search_batch(
        collection,
        queries=queries,
        k=k,
        filter=tree,
        score_threshold=threshold,
        params=_params(ef, nprobe, exact),
        with_payload=True,
        on_error="return",
    )
    show_matches(out, result, names)


def add_search(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "search")(search)


def show_matches(out: Output, result: SearchResult, names: Sequence[str]) -> None:
    """Prints the matches of each query; errors go to standard error and into the exit code."""
    columns = ("id", "score", "payload")
    out.records(_records(result, names), columns if len(names) == 1 else ("query", *columns))
    for position, error in result.errors.items():
        complain(str(error) if len(names) == 1 else f"query {position}: {error}")
    if result.errors:
        raise typer.Exit(ExitCode.REFUSED if len(result.errors) == len(names) else ExitCode.PARTIAL)


def _records(result: SearchResult, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name, matches in zip(names, result, strict=True):
        for rank, match in enumerate(matches):
            yield {
                "query": name,
                "rank": rank + 1,
                "id": match.id,
                "score": match.score,
                "payload": match.payload,
            }


def _single(
    text: str | None, key: str | None, image: Path | None, point: str | None, vector: str | None
) -> list[tuple[str, Input]]:
    found: list[tuple[str, Input]] = []
    if text is not None:
        found.append((text, TextInput(text)))
    if key is not None:
        found.append((key, KeyInput(key)))
    if image is not None:
        found.append((str(image), ImageInput(image)))
    if point is not None:
        found.append((point, PointInput(point)))
    if vector is not None:
        found.append(("vector", _vector(vector)))
    return found


def _named(single: list[tuple[str, Input]]) -> tuple[list[str], list[Input]]:
    return [name for name, _ in single], [query for _, query in single]


def _lines(
    client: Client, collection: str, file: Path | None, chosen: Any
) -> tuple[list[str], list[Input]]:
    lines = lines_of([], file)
    model = client.collection(collection).model
    if chosen is None and not model:
        raise UsageError(f"{collection} has no model: search it by --point or --vector")
    meant = kind_for(client, model, chosen)
    return lines, [input_of(meant, line) for line in lines]


def _vector(option: str) -> VectorInput:
    try:
        values = (
            np.load(option, allow_pickle=False) if option.endswith(".npy") else json.loads(option)
        )
        row = np.asarray(values, np.float32)
    except ValueError as error:
        raise UsageError(
            f"--vector is neither a JSON list of numbers nor a .npy file: {error}"
        ) from error
    if row.ndim != 1:
        raise UsageError(f"--vector: expected one vector, got the shape {row.shape}")
    return VectorInput(row)


def _params(ef: int, nprobe: int, exact: bool) -> SearchParams:
    return {"ef": ef, "nprobe": nprobe, "exact": exact}
