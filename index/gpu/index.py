"""A segment's index on a GPU, with the one on the CPU behind it."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.gpu.copies import CAPABILITIES, Source
from index.gpu.device import BeyondDeviceError, Device, DeviceError, Held
from index.recipes.base import RowMask, SegmentIndex
from index.recipes.exact import ExactIndex
from index.recipes.faiss_index import FaissIndex
from index.search.exact import rescore
from index.types import Metric, SearchParameters

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
Search = Callable[[FloatRows, int, SearchParameters], Found]

_CHUNK_ROWS = 65_536


class GpuIndex(SegmentIndex):
    """Searches on a device. FAISS ignores selectors there, so masks are the CPU index's work, as
    are searches beyond the device's limits and those that it fails at.

    Args:
        host: the CPU index, which stays in memory.
        search: the same on the device; raises DeviceError.
    """

    def __init__(self, host: SegmentIndex, search: Search, device: Device) -> None:
        self._host, self._search, self._device = host, search, device
        self.method, self.rows, self.memory_bytes = host.method, host.rows, host.memory_bytes
        self.lists, self.links, self.filters = host.lists, host.links, host.filters
        # a plan takes `exact` for a scan of the rows on the CPU
        effort = host.default_search
        self.default_search = SearchParameters() if effort.exact else effort

    def search(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask | None = None,
    ) -> Found:
        """See `SegmentIndex.search`."""
        if mask is None:
            try:
                return self._search(queries, k, params)
            except BeyondDeviceError:
                pass
            except DeviceError as error:
                self._device.warn(error)
        return self._host.search(queries, k, params, mask)

    def search_lists(
        self,
        queries: FloatRows,
        k: int,
        params: SearchParameters,
        mask: RowMask,
        chosen: NDArray[np.int64],
    ) -> Found:
        """See `SegmentIndex.search_lists`."""
        return self._host.search_lists(queries, k, params, mask, chosen)

    def save(self, path: Path) -> None:
        """See `SegmentIndex.save`: the CPU index."""
        self._host.save(path)


def to_device(
    index: SegmentIndex | None, recipe: str, rows: FloatRows, metric: Metric, device: Device | None
) -> SegmentIndex | None:
    """The index of a segment, on the device where its recipe can live there; else as it is.

    Args:
        index: None where the segment is searched exactly.
        recipe: name of the concrete recipe it was built with.
        rows: float32 (n, d), scaled; may be memory-mapped.
        device: None is the CPU.
    """
    able = CAPABILITIES.get(recipe)
    if device is None or able is None or metric not in able.metrics or not len(rows):
        return index
    source = Source(index, rows, metric)
    seed = able.seed(source)
    if seed is None:
        return index
    try:
        held = device.hold(seed, able.small_tables)
        for start in range(0, len(rows) if able.adds_rows else 0, _CHUNK_ROWS):
            # searches of other segments get their turn in between
            held.add(rows[start : start + _CHUNK_ROWS])
    except DeviceError as error:
        device.warn(error)
        return index
    host = index or ExactIndex(rows, metric)
    return GpuIndex(host, _search_of(host, held, source), device)


def _search_of(host: SegmentIndex, held: Held, source: Source) -> Search:
    if isinstance(host, FaissIndex):
        there = copy.copy(host)
        there.index = held
        return there.search

    def exact(queries: FloatRows, k: int, params: SearchParameters) -> Found:
        # the GPU's sums round in another order: more are found, and scored as the CPU does
        wanted = min(2 * k, len(source.rows))
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        positions = held.search(queries, wanted)[1]
        return rescore(source.rows, queries, positions, k, source.metric)

    return exact
