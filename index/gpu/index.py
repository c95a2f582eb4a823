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
from index.search.bounds import gamma, longest_row
from index.search.candidates import rescore, true_scores
from index.search.exact import search_exact
from index.search.frame import Frame, centre_of, measured, within_float32
from index.search.top import Positions, Scores, best_of
from index.types import Metric, SearchParameters

Found = tuple[Scores, Positions]
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
    if not within_float32(rows, metric):
        return index
    source = Source(index, rows, metric)
    seed = able.seed(source)
    if seed is None:
        return index
    centre = index.centre if isinstance(index, FaissIndex) else None
    if index is None and metric is Metric.L2:
        centre = centre_of(rows)
    try:
        held = device.hold(seed, able.small_tables)
        for start in range(0, len(rows) if able.adds_rows else 0, _CHUNK_ROWS):
            # searches of other segments get their turn in between
            held.add(measured(rows[start : start + _CHUNK_ROWS], centre))
    except DeviceError as error:
        device.warn(error)
        return index
    host = index or ExactIndex(rows, metric)
    if isinstance(host, FaissIndex):
        there = copy.copy(host)
        there.index = held
        return GpuIndex(host, there.search, device)
    return GpuIndex(host, _ExactThere(held, source, centre).search, device)


class _ExactThere:
    """Exact search by products on the device: more are found than wanted, and scored as the CPU
    scores them. Queries where others could be better still are the CPU's.

    Args:
        centre: what the rows were measured from there.
    """

    def __init__(self, held: Held, source: Source, centre: FloatRows | None) -> None:
        self._held, self._source, self._centre = held, source, centre
        metric, rows = source.metric, source.rows
        self._longest = 1.0 if metric.normalizes else longest_row(rows)
        if centre is not None:
            # no row is farther from the centre than both are from the origin together
            self._longest += float(np.linalg.norm(centre.astype(np.float64)))

    def search(self, queries: FloatRows, k: int, params: SearchParameters) -> Found:
        """See `SegmentIndex.search`."""
        rows, metric = self._source.rows, self._source.metric
        wanted = min(2 * k, len(rows))
        frame = Frame.of(queries, metric, self._centre)
        found, positions = self._held.search(frame.queries, wanted)
        if metric.normalizes:
            return rescore(rows, queries, positions, k, metric)
        exact = true_scores(rows, queries, positions, metric)
        scores, best = best_of(exact, positions, k)
        # FAISS adds the squares of the queries' lengths in float32 too
        errors = frame.errors(self._longest)
        if frame.squares:
            found, errors = -found, errors + gamma(rows.shape[1] + 8) * frame.lengths**2
        again = np.flatnonzero(~(found[:, -1] + errors < scores[:, -1]))
        if len(again) and wanted < len(rows):
            scores[again], best[again] = search_exact(rows, queries[again], k, metric)
        return scores, best
