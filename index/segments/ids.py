"""Ids of a segment, packed: one block of UTF-8 and offsets, not one object a point."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.uint32] | NDArray[np.uint64]


class PackedIds:
    """n ids: `text` uint8 (bytes,), `offsets` (n + 1,); id i is text[offsets[i]:offsets[i + 1]]."""

    def __init__(self, text: NDArray[np.uint8], offsets: Offsets) -> None:
        self.text, self.offsets = text, offsets

    @classmethod
    def pack(cls, ids: Iterable[str]) -> "PackedIds":
        """Ids in their order."""
        encoded = [point_id.encode() for point_id in ids]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), _offsets(lengths))

    @classmethod
    def join(cls, parts: Sequence["PackedIds"]) -> "PackedIds":
        """Those of all parts, one after another."""
        lengths = [part.lengths for part in parts]
        texts = [part.text for part in parts]
        return cls(
            np.concatenate(texts) if texts else np.empty(0, np.uint8),
            _offsets(np.concatenate(lengths) if lengths else np.empty(0, np.int64)),
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each id, int64 (n,)."""
        starts: NDArray[np.int64] = self.offsets.astype(np.int64)
        return starts[1:] - starts[:-1]

    @property
    def nbytes(self) -> int:
        """Memory of the block and the offsets."""
        return int(self.text.nbytes + self.offsets.nbytes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def at(self, positions: NDArray[np.integer]) -> list[str]:
        """Ids of positions (m,)."""
        starts = self.offsets[positions].tolist()
        ends = self.offsets[positions + 1].tolist()
        text = self.text.data
        return [str(text[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]

    def take(self, positions: NDArray[np.integer]) -> "PackedIds":
        """Packed ids of positions (m,), in that order."""
        lengths = self.lengths[positions]
        offsets = _offsets(lengths)
        shift = self.offsets[positions].astype(np.int64) - offsets[:-1].astype(np.int64)
        source = np.arange(int(offsets[-1]), dtype=np.int64) + np.repeat(shift, lengths)
        return PackedIds(self.text[source], offsets)


class IdList:
    """Ids of a growing segment, with the reading face of `PackedIds`."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def extend(self, ids: Sequence[str]) -> None:
        """Adds ids at the end; readers of earlier positions are not disturbed."""
        self._ids.extend(ids)

    @property
    def nbytes(self) -> int:
        """Memory, estimated: 64 bytes for a Python string and its place in the list."""
        return 64 * len(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def at(self, positions: NDArray[np.integer]) -> list[str]:
        """Ids of positions (m,)."""
        return [self._ids[position] for position in positions.tolist()]

    def take(self, positions: NDArray[np.integer]) -> PackedIds:
        """Packed ids of positions (m,), in that order."""
        return PackedIds.pack(self.at(positions))


def _offsets(lengths: NDArray[np.int64]) -> Offsets:
    total = int(lengths.sum())
    offsets = np.zeros(len(lengths) + 1, dtype=np.uint64)
    np.cumsum(lengths, out=offsets[1:], dtype=np.uint64)
    return offsets.astype(np.uint32) if total < 1 << 32 else offsets
