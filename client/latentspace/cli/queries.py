"""What `latentspace search` asks: one query of its options, or one of every line of a file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentspace.cli.exits import UsageError
from latentspace.cli.items import Items, read_items, reader_for
from latentspace.cli.options import Kind
from latentspace.cli.reading import Reader
from latentspace.enums import RecommendStrategy
from latentspace.inputs import ImageInput, Input, KeyInput, PointInput, TextInput, VectorInput
from latentspace.requests.queries import QueryLike, Recommend, Weighted
from latentspace.sync.client import Client


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and its name in what is printed; where it is an image or a point, which."""

    name: str
    query: QueryLike
    picture: Path | None = None
    point: str = ""


def asked_once(
    text: str | None, key: str | None, image: Path | None, point: str | None, vector: str | None
) -> list[Asked]:
    """The queries that the options name, of which there should be one.

    Raises:
        UsageError: not a vector.
    """
    found: list[Asked] = []
    if text is not None:
        found.append(Asked(text, TextInput(text)))
    if key is not None:
        found.append(Asked(key, KeyInput(key)))
    if image is not None:
        found.append(Asked(str(image), ImageInput(image), image))
    if point is not None:
        found.append(Asked(point, PointInput(point), point=point))
    if vector is not None:
        found.append(Asked("vector", _vector(vector)))
    return found


def asked_alike(
    like: Sequence[str], unlike: Sequence[str], strategy: RecommendStrategy | None
) -> list[Asked]:
    """A recommendation by stored points; nothing where none are named.

    Raises:
        UsageError: there is nothing to be like.
    """
    if not like:
        if unlike or strategy:
            raise UsageError("--unlike and --strategy go with --like")
        return []
    name = " ".join(["like", *like, *(["unlike", *unlike] if unlike else [])])
    return [Asked(name, Recommend(like, unlike, strategy or RecommendStrategy.AVERAGE))]


def asked_by_line(
    client: Client, collection: str, file: Path | None, kind: Kind | None
) -> tuple[list[Asked], Items]:
    """A query for every line of a file, or of a piped standard input; and the lines as read.

    Raises:
        UsageError: there are no lines, or nothing can embed them.
    """
    model = _model(client, collection, "--file") if kind is None else ""
    items = read_items(client, model, kind, [], file)
    asked = [
        Asked(name, item, _picture_of(item))
        for name, item in zip(items.sent_names, items.inputs, strict=True)
    ]
    return asked, items


def _picture_of(item: Input) -> Path | None:
    return (
        Path(item.source) if isinstance(item, ImageInput) and isinstance(item.source, str) else None
    )


def composed(
    client: Client,
    collection: str,
    kind: Kind | None,
    asked: Sequence[Asked],
    plus: Sequence[str],
    minus: Sequence[str],
) -> list[Asked]:
    """The same queries with texts, images or keys added to and taken from each.

    Raises:
        UsageError: a recommendation is not a sum, or a term cannot be read.
    """
    if not plus and not minus:
        return list(asked)
    # --as image speaks of the lines of --file, to which words may be added
    kind = None if kind is Kind.IMAGE else kind
    reader = reader_for(client, _model(client, collection, "--plus and --minus"), kind)
    terms: list[Weighted] = [(1.0, _term(reader, "--plus", one)) for one in plus]
    terms += [(-1.0, _term(reader, "--minus", one)) for one in minus]
    sign = "".join([*(f" + {one}" for one in plus), *(f" - {one}" for one in minus)])
    return [replace(one, name=one.name + sign, query=_sum(one.query, terms)) for one in asked]


def _term(reader: Reader, option: str, argument: str) -> Input:
    reading = reader.read_one(argument)
    if isinstance(reading, str):
        raise UsageError(f"{option} {argument:.60}: {reading}")
    return reading


def _sum(query: QueryLike, terms: Sequence[Weighted]) -> list[Weighted]:
    if not isinstance(query, Input):
        raise UsageError("--plus and --minus do not go with --like")
    return [(1.0, query), *terms]


def _model(client: Client, collection: str, options: str) -> str:
    model = client.collection(collection).model
    if not model:
        raise UsageError(
            f"{collection} has no model for {options}: search it by --point, --like or --vector"
        )
    return model


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
