"""A collection of dicts and numpy, to compare the real one with."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from embedders.vectors import FloatRows
from index.types import Hits, Metric

Row = tuple[FloatRows, dict[str, Any], str]


class Oracle:
    """Points by id, in the order of their last write of a vector."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.points: dict[str, Row] = {}

    def upsert(
        self, ids: Sequence[str], rows: FloatRows, payloads: Sequence[dict[str, Any]], modality: str
    ) -> None:
        for point_id, row, payload in zip(ids, rows, payloads, strict=True):
            self.points.pop(point_id, None)
            self.points[point_id] = (self._scaled(row), payload, modality)

    def delete(self, ids: Sequence[str]) -> int:
        return sum(self.points.pop(point_id, None) is not None for point_id in set(ids))

    def patch(self, ids: Sequence[str], change: dict[str, Any]) -> int:
        known = [point_id for point_id in set(ids) if point_id in self.points]
        for point_id in known:
            row, payload, modality = self.points[point_id]
            self.points[point_id] = (row, payload | change, modality)
        return len(known)

    def passing(self, test: Callable[[dict[str, Any]], bool]) -> list[str]:
        return [point_id for point_id, point in self.points.items() if test(point[1])]

    def scores(self, query: FloatRows, ids: Sequence[str]) -> FloatRows:
        rows = np.array([self.points[point_id][0] for point_id in ids], dtype=np.float64)
        query = self._scaled(query).astype(np.float64)
        if self.metric is Metric.L2:
            return np.asarray(-((rows - query) ** 2).sum(axis=1))
        return np.asarray(rows @ query)

    def since(self, year: int) -> list[str]:
        return self.passing(lambda payload: payload["year"] >= year)

    def check_hits(
        self, hits: Hits, queries: FloatRows, k: int, allowed: Sequence[str], recall: float
    ) -> None:
        """Every hit is one of the allowed points, once, with its true score and payload; the
        best scores are there, all of them (recall 1) or so many."""
        starts = np.cumsum(hits.counts) - hits.counts
        for query, start, count in zip(queries, starts, hits.counts, strict=True):
            ids = list(hits.points.ids[start : start + count])
            assert len(set(ids)) == len(ids)
            assert set(ids) <= set(allowed)
            if not allowed:
                continue
            given = hits.scores[start : start + count]
            np.testing.assert_allclose(given, self.scores(query, ids), rtol=2e-6, atol=2e-6)
            assert (np.diff(given) <= 0).all()
            best = np.sort(self.scores(query, allowed))[::-1][:k]
            assert len(ids) == len(best) or recall < 1
            found = np.sum(given >= best[-1] - 2e-6 * max(1.0, abs(float(best[-1]))))
            assert found >= recall * len(best), (found, len(best))
            assert hits.points.payloads is not None
            for point_id, payload in zip(
                ids, hits.points.payloads[start : start + count], strict=True
            ):
                assert orjson.loads(payload) == self.points[point_id][1]

    def _scaled(self, row: FloatRows) -> FloatRows:
        if self.metric is Metric.COSINE:
            wide = row.astype(np.float64)
            return np.asarray(wide / np.sqrt((wide**2).sum()), dtype=np.float32)
        return row
