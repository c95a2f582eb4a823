"""Rows of vector files that cannot be used: refused with the cure, or passed over and counted."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ModelFormatError
from embedders.vectors import FloatRows, IndexArray

BLOCK_ROWS = 16_384


class BadRows(StrEnum):
    """What becomes of rows that cannot be used; of a key that is repeated, the first row stays."""

    REFUSE = "refuse"
    SKIP = "skip"


class Fault(StrEnum):
    """What is wrong with a row."""

    NO_KEY = "without a key"
    REPEATED = "with a key that came before"
    UNDECODABLE = "with a key that is not UTF-8"
    NUMBERS = "with numbers missing, too many or not finite"
    BLANK = "blank lines"


@dataclass(slots=True)
class RowCheck:
    """Faults of the rows of a file, counted.

    Args:
        path: the file.
        policy: whether a fault refuses the file.
    """

    path: Path
    policy: BadRows = BadRows.REFUSE
    counts: Counter[Fault] = field(default_factory=Counter)
    first: dict[Fault, str] = field(default_factory=dict)

    def fault(self, kind: Fault, place: str, what: str) -> None:
        """Takes a bad row in.

        Args:
            place: of the row ("line 3").
            what: is wrong there.

        Raises:
            ModelFormatError: the policy is to refuse.
        """
        if self.policy is BadRows.REFUSE:
            raise ModelFormatError(
                f"{self.path}: {place}: {what}; the option bad_rows: skip passes over such rows"
            )
        self.counts[kind] += 1
        self.first.setdefault(kind, place)

    @property
    def rows(self) -> int:
        """Rows that were passed over."""
        return sum(self.counts.values()) - self.counts[Fault.BLANK]

    def notes(self) -> tuple[str, ...]:
        """What was passed over, as a sentence; nothing where all rows are sound."""
        if not self.counts:
            return ()
        parts = [
            f"{count} {kind} (the first: {self.first[kind]})"
            for kind, count in sorted(self.counts.items())
        ]
        return (f"{self.path}: {self.rows} rows passed over: {', '.join(parts)}",)


def sound_rows(
    keys: Sequence[str | None],
    rows: FloatRows,
    check: RowCheck,
    place: Callable[[int], str] = "row {}".format,
) -> IndexArray | None:
    """Positions of the rows that can be used, intp (m,); None where all can.

    Args:
        keys: None for one that could not be decoded.
        place: of row i, for messages.

    Raises:
        ModelFormatError: a row cannot be used, and the policy is to refuse.
    """
    finite = _finite(rows)
    seen: dict[str, int] = {}
    bad = []
    for position, key in enumerate(keys):
        what = _key_fault(key, seen)
        if what is None and not finite[position]:
            what = (Fault.NUMBERS, f"row {position} has NaN or infinity")
        if what is None:
            seen[cast("str", key)] = position
        else:
            check.fault(what[0], place(position), what[1])
            bad.append(position)
    return np.delete(np.arange(len(keys)), bad) if bad else None


def _key_fault(key: str | None, seen: dict[str, int]) -> tuple[Fault, str] | None:
    if key is None:
        return Fault.UNDECODABLE, "the key is not UTF-8"
    if not key:
        return Fault.NO_KEY, "the key is empty"
    if key in seen:
        return Fault.REPEATED, f"key {key!r} stands in row {seen[key]} already"
    return None


def _finite(rows: FloatRows) -> NDArray[np.bool_]:
    finite = np.empty(len(rows), np.bool_)
    # in blocks: the mask of a large matrix would take a quarter of its memory again
    for start in range(0, len(rows), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        finite[start:stop] = np.isfinite(rows[start:stop]).all(axis=1)
    return finite
