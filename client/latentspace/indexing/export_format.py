"""What exports have in common: what they say of their collection, and how they are read again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol, Self

from latentspace.enums import Modality
from latentspace.indexing.records import Source
from latentspace.results.collection import Collection
from latentspace.results.point import Point

FORMAT = 1


class ExportError(Exception):
    """An export cannot be written as it was asked for; says what would do."""


@dataclass(frozen=True, slots=True)
class About:
    """What an export says of the collection that it was made from.

    Args:
        model: "" for the caller's own vectors.
        space_id: what the vectors are comparable with.
        metric: "cosine", "dot" or "l2".
        dim: numbers a vector.
        fields: declared payload fields and their types.
        columns: those of them that are columns of their own.
    """

    collection: str
    dim: int
    model: str = ""
    space_id: str = ""
    metric: str = "cosine"
    recipe: str = "auto"
    fields: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    format: int = FORMAT

    @classmethod
    def of(cls, found: Collection) -> Self:
        """Of a collection as the server describes it."""
        return cls(
            collection=found.name,
            dim=found.dim,
            model=found.model,
            space_id=found.space_id,
            metric=str(found.metric or "cosine"),
            recipe=found.asked_recipe or found.recipe,
            fields={name: str(kind) for name, kind in found.fields.items() if kind is not None},
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """As `to_json` wrote it.

        Raises:
            ValueError: not such a text, or of a later version.
        """
        try:
            about = cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not the description of an export ({error})") from error
        if about.format > FORMAT:
            raise ValueError(f"format {about.format} is newer than this client reads ({FORMAT})")
        return about

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


class Writer(Protocol):
    """Takes points page by page; closing completes what it wrote."""

    def write(self, points: Sequence[Point]) -> None:
        """Adds points with their vectors and payloads."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ExportSource(Source):
    """Points of an export, with their vectors; `about` is None where it does not say."""

    about: About | None

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        raise NotImplementedError


def modality_of(name: str | None) -> Modality | None:
    """What a vector was made from, by its name in an export; None where that says nothing."""
    return Modality(name) if name in set(Modality) else None


def arrow_module(name: str) -> Any:
    """pyarrow, or a part of it.

    Raises:
        ExportError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ExportError("pyarrow is not installed: pip install 'latentspace[arrow]'") from error
