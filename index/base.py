"""What the runtime sees of vector storage.

Calls are synchronous and safe in many threads; a caller on an event loop gives them a thread.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedders.vectors import FloatRows, IndexArray
from index.errors import PointError
from index.filter import Filter
from index.types import (
    CollectionInfo,
    CollectionSpec,
    FieldType,
    Hits,
    IndexParameters,
    Page,
    Points,
    SearchParameters,
    WriteResult,
)

# stage, done, total; called now and then by long work, may raise to cancel it
ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A batch of searches with like parameters.

    Args:
        queries: float32 (q, dim), finite; scaled by the collection where its metric does so.
        k: points for each query, at least 1.
        score_threshold: leave out lower scores.
        value_of: a declared keyword, int or bool field; its values come back in `Hits.values`.
    """

    queries: FloatRows
    k: int = 10
    filter: Filter | None = None
    params: SearchParameters = SearchParameters()
    score_threshold: float | None = None
    with_payload: bool = False
    with_vectors: bool = False
    value_of: str = ""


class Collection(ABC):
    """Points of one space. Every acknowledged write is on disk and visible to the next search."""

    @property
    @abstractmethod
    def info(self) -> CollectionInfo:
        """The collection as it is now."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name; unlike `info`, this and `spec` cost nothing."""

    @property
    @abstractmethod
    def spec(self) -> CollectionSpec:
        """What its user decided."""

    @property
    @abstractmethod
    def version(self) -> int:
        """Number of the last write; costs nothing."""

    #: whether writes are refused
    read_only: bool = False

    @abstractmethod
    def upsert(self, points: Points) -> WriteResult:
        """Writes points with `vectors`; a known id is replaced. Bad points fail alone.

        Rejected are: ids that are empty or over 512 bytes, the second and later of equal ids in
        the batch, vectors that are not finite, zero vectors under cosine, payloads that are not
        JSON objects in UTF-8, over 64 KiB, or whose declared fields have another type.

        Raises:
            QueryError: the rows have another dimension.
            ReadOnlyError, StorageError
        """

    @abstractmethod
    def unacceptable(
        self, ids: Sequence[str], payloads: Sequence[bytes] | None
    ) -> Mapping[int, PointError]:
        """What `upsert` would reject by ids and payloads alone, by position: costs no vectors.

        Raises:
            ReadOnlyError
        """

    @abstractmethod
    def update_payload(
        self,
        which: Sequence[str] | Filter,
        payload: bytes,
        *,
        replace: bool = False,
        remove_keys: Sequence[str] = (),
    ) -> WriteResult:
        """Removes keys, then merges (or replaces by) a JSON object; vectors stay."""

    @abstractmethod
    def delete(self, which: Sequence[str] | Filter) -> WriteResult:
        """Deletes by ids (unknown ones are passed over) or by filter; `written` counts them."""

    @abstractmethod
    def get(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_payload: bool = True
    ) -> tuple[Points, list[int]]:
        """Points found, in the order asked, and the positions of ids that were not found."""

    @abstractmethod
    def scan(
        self,
        cursor: str = "",
        limit: int = 100,
        *,
        filter: Filter | None = None,
        with_vectors: bool = False,
        with_payload: bool = True,
    ) -> Page:
        """A page of points in the order of their last write, right while writes go on.

        Raises:
            QueryError: a cursor that this collection did not give.
        """

    @abstractmethod
    def count(self, filter: Filter | None = None) -> int:
        """Live points that pass."""

    @abstractmethod
    def search(self, request: SearchRequest) -> Hits:
        """Nearest points of each query.

        Raises:
            QueryError, FilterError
        """

    @abstractmethod
    def blocks(self, limit: int = 0) -> Iterator[tuple[IndexArray, FloatRows]]:
        """All live rows, as (slots (n,), rows (n, dim)) in slot order, for exact arithmetic.

        A slot names a row for good: `ids_of` knows it as long as the row lives. Blocks are at
        most some ten thousand rows; `limit` stops after so many rows (0: none).
        """

    @abstractmethod
    def ids_of(self, slots: IndexArray) -> list[str]:
        """Ids of slots given by `blocks`; "" for rows that have gone since."""

    def slots_of(self, ids: Sequence[str]) -> IndexArray:
        """Slots of live rows by id, intp (n,), -1 where there is none.

        Reads all ids; collections that can look them up do so instead.
        """
        found = dict.fromkeys(ids, -1)
        for slots, _ in self.blocks() if found else ():
            for slot, point_id in zip(slots.tolist(), self.ids_of(slots), strict=True):
                if point_id in found:
                    found[point_id] = slot
        return np.array([found[point_id] for point_id in ids], dtype=np.intp)

    @abstractmethod
    def update(
        self,
        *,
        add_fields: Mapping[str, FieldType] | None = None,
        recipe: str | None = None,
        index: IndexParameters | None = None,
        search: SearchParameters | None = None,
    ) -> None:
        """Declares fields, sets defaults, or changes the recipe (built in the background)."""

    @abstractmethod
    def optimize(self, full: bool = False, progress: ProgressCallback | None = None) -> None:
        """Seals, merges, compacts and waits until every index is built."""

    @abstractmethod
    def close(self) -> None:
        """Ends background work and closes files; acknowledged writes are safe without it."""


class Engine(ABC):
    """All collections of one data folder. `capabilities` says what it can, as data."""

    capabilities: frozenset[str]

    @abstractmethod
    def create(self, name: str, spec: CollectionSpec) -> Collection:
        """A new collection.

        Raises:
            CollectionExistsError, SpecError, StorageError
        """

    @abstractmethod
    def get(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            CollectionNotFoundError
        """

    @abstractmethod
    def names(self) -> list[str]:
        """All names, ascending."""

    def write_faults(self) -> Mapping[str, str]:
        """Why writes fail now, by collection; under "" what is wrong with the data folder."""
        return {}

    @abstractmethod
    def drop(self, name: str) -> None:
        """Deletes a collection and its files.

        Raises:
            CollectionNotFoundError
        """

    @abstractmethod
    def snapshot(
        self, name: str, target: Path, progress: ProgressCallback | None = None
    ) -> CollectionInfo:
        """Writes one archive with manifest and checksums, consistent while writes go on."""

    @abstractmethod
    def restore(
        self, source: Path, name: str, progress: ProgressCallback | None = None
    ) -> Collection:
        """A new collection from an archive.

        Raises:
            SnapshotError: damaged, or of another format version.
            CollectionExistsError
        """

    @abstractmethod
    def close(self) -> None:
        """Closes every collection and gives the data folder free."""
