"""Coarse lists: the rows of a segment by nearest k-means centre.

Filtered searches read them: from the centres nearest to a query outwards, the rows that pass
the filter are scanned exactly. The same partition as IVF (Jégou and others, 2011), without
codes: 6 bytes a row and the centres.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import RecipeError
from index.search.frame import index_centre, measured
from index.types import Metric
from index.untyped import faiss

_MAGIC, _MAGIC_CENTRE = b"LSLISTS1", b"LSLISTS2"
_TRAIN_ROWS_PER_LIST = 48
_ROUNDS = 8


@dataclass(frozen=True)
class CoarseLists:
    """Lists of a segment.

    Args:
        centers: float32 (lists, d); unit length under cosine.
        labels: uint16 (n,), list of each row.
        metric: how rows are compared.
        centre: float32 (d,), what rows, centers and, under l2, queries are measured from; None is
            the origin.
    """

    centers: FloatRows
    labels: NDArray[np.uint16]
    metric: Metric
    centre: FloatRows | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        return self.centers.nbytes + self.labels.nbytes + 4 * len(self.labels)

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """Rows, list after list, int32 (n,)."""
        return np.argsort(self.labels, kind="stable").astype(np.int32)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each list begins in `order`, and the end of the last, int64 (lists + 1,)."""
        sizes = np.bincount(self.labels, minlength=len(self.centers))
        return np.concatenate([[0], np.cumsum(sizes)])

    def nearness(self, queries: FloatRows) -> FloatRows:
        """Scores of the centres, float32 (q, lists), higher is nearer."""
        near = measured(queries, self.centre if self.metric is Metric.L2 else None)
        scores: FloatRows = near @ self.centers.T
        if self.metric is Metric.L2:
            scores = 2 * scores - np.einsum("ij,ij->i", self.centers, self.centers)
        return scores

    @classmethod
    def train(cls, rows: FloatRows, metric: Metric, count: int = 0) -> "CoarseLists":
        """k-means on a sample, then every row to its nearest centre; about 2 sqrt(n) lists."""
        count = min(count or int(1.5 * len(rows) ** 0.5), len(rows), 1 << 16)
        centre = index_centre(rows, metric)
        centers = _centers(rows, metric, count, centre)
        index = _flat(centers, metric)
        labels = np.empty(len(rows), dtype=np.uint16)
        for start in range(0, len(rows), 1 << 15):
            block = measured(rows[start : start + (1 << 15)], centre)
            labels[start : start + len(block)] = index.search(block, 1)[1][:, 0]
        return cls(centers, labels, metric, centre)

    @classmethod
    def none(cls, metric: Metric, centre: FloatRows | None) -> "CoarseLists":
        """No lists, but a centre."""
        assert centre is not None
        return cls(np.empty((0, len(centre)), np.float32), np.empty(0, np.uint16), metric, centre)

    def append_to(self, path: Path) -> None:
        """Adds them to the end of an index file; FAISS reads such a file as before."""
        with path.open("ab") as file:
            offset = file.tell()
            np.save(file, self.centers, allow_pickle=False)
            np.save(file, self.labels, allow_pickle=False)
            if self.centre is not None:
                np.save(file, self.centre, allow_pickle=False)
            magic = _MAGIC if self.centre is None else _MAGIC_CENTRE
            file.write(offset.to_bytes(8, "little") + magic)

    @classmethod
    def read_from(cls, path: Path, metric: Metric) -> "CoarseLists | None":
        """What `append_to` added; None where nothing was.

        Raises:
            RecipeError: they are damaged.
        """
        with path.open("rb") as file:
            magic = _seek_lists(file)
            if not magic:
                return None
            try:
                centers = np.load(file, allow_pickle=False)
                labels = np.load(file, allow_pickle=False)
                centre = np.load(file, allow_pickle=False) if magic == _MAGIC_CENTRE else None
            except (ValueError, EOFError) as error:
                raise RecipeError(f"{path}: coarse lists are damaged: {error}") from error
        return cls(centers, labels, metric, centre)


def _seek_lists(file: BinaryIO) -> bytes:
    """Goes to where the lists begin; the magic at their end, empty where there are none."""
    if file.seek(0, 2) < 16:
        return b""
    file.seek(-16, 2)
    offset, magic = int.from_bytes(file.read(8), "little"), file.read(8)
    if magic not in (_MAGIC, _MAGIC_CENTRE):
        return b""
    file.seek(offset)
    return magic


def _centers(rows: FloatRows, metric: Metric, count: int, centre: FloatRows | None) -> FloatRows:
    dim = rows.shape[1]
    wanted = min(len(rows), count * _TRAIN_ROWS_PER_LIST)
    chosen = np.sort(np.random.default_rng(0).choice(len(rows), wanted, replace=False))
    clustering = faiss.Clustering(dim, count)
    clustering.niter = _ROUNDS
    clustering.spherical = metric is Metric.COSINE
    clustering.min_points_per_centroid = 1
    flat_index = _flat(np.empty((0, dim), dtype=np.float32), metric)
    clustering.train(measured(rows[chosen], centre), flat_index)
    flat: FloatRows = faiss.vector_to_array(clustering.centroids)
    return flat.reshape(count, dim)


def _flat(rows: FloatRows, metric: Metric) -> Any:
    dim = rows.shape[1]
    index = faiss.IndexFlatIP(dim) if metric is Metric.COSINE else faiss.IndexFlatL2(dim)
    if len(rows):
        index.add(rows)
    return index
