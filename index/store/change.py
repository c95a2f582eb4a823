"""What a committed write did, for the segments in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.store.accept import Accepted


def _no_slots() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Patch:
    """New payloads, parsed, of slots; `codes` are the rows' modalities."""

    slots: Sequence[int]
    objects: Sequence[Mapping[str, Any]]
    codes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that died, then rows that came (with their slots), then payloads that changed."""

    dead: NDArray[np.int64] = field(default_factory=_no_slots)
    slots: NDArray[np.int64] = field(default_factory=_no_slots)
    added: Accepted | None = None
    patch: Patch | None = None
