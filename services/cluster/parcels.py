"""What travels between the processes of a job: parts of the source, as rows of Arrow tables."""

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow

from latentspace.indexing.mirroring import SourceIds
from latentspace.indexing.records import BadRecord, Record
from latentspace.requests.importing import NewPoint

COLUMN = "parcel"


@dataclass(slots=True)
class Told:
    """What became of a part so far; counts as in `Progress`.

    Args:
        ids: of the part, where missing ones are deleted.
        broken: why the job cannot go on.
    """

    read: int = 0
    unchanged: int = 0
    written: int = 0
    failures: list[BadRecord] = field(default_factory=list)
    ids: SourceIds | None = None
    broken: Exception | None = None


@dataclass(slots=True)
class Parcel:
    """A part of the source on its way through the stages.

    Args:
        records: as they were read; then those that are written, all good.
        points: made of them, one each; none before they are compared.
    """

    records: Sequence[Record | BadRecord] = ()
    points: Sequence[NewPoint] = ()
    told: Told = field(default_factory=Told)


def pack(parcels: Iterable[Parcel]) -> Any:
    """An Arrow table, one row a parcel."""
    # our own processes at both ends: what a pickle could do, they can do anyway
    rows = [pickle.dumps(parcel, pickle.HIGHEST_PROTOCOL) for parcel in parcels]
    return pyarrow.table({COLUMN: pyarrow.array(rows, pyarrow.large_binary())})


def unpack(table: Any) -> list[Parcel]:
    """The parcels of an Arrow table."""
    return [pickle.loads(row.as_buffer()) for row in table.column(COLUMN)]  # noqa: S301 see pack
