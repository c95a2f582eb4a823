"""Stored zero-shot classifiers: encoded once, kept in the catalogue."""

import json
import time
from dataclasses import asdict, dataclass

import numpy as np

from embedders.base import EncodeOptions
from embedders.vectors import FloatRows
from services.runtime.catalog import Catalog
from services.runtime.collections import check_name
from services.runtime.embedder import Embedder
from services.runtime.errors import LabelSetExistsError, LabelSetNotFoundError
from services.runtime.labels import Labels, label_rows
from services.runtime.lru import Lru
from services.runtime.models import Model
from services.runtime.pools import Pools, run_in
from services.runtime.records import RecordReader

# vectors of label sets in use, in memory
ROWS_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A stored classifier; `created_ns` is Unix time."""

    name: str
    model: str
    space_id: str
    labels: Labels
    dim: int
    created_ns: int

    def record(self) -> str:
        """As the catalogue keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)


class LabelSets:
    """All label sets by name."""

    def __init__(self, catalog: Catalog, embedder: Embedder, pools: Pools) -> None:
        self._catalog, self._embedder, self._pools = catalog, embedder, pools
        reader = RecordReader(LabelSet)
        stored = (
            reader.read(record, f"label set {name}")
            for name, record in catalog.label_sets().items()
        )
        self._sets = {label_set.name: label_set for label_set in stored if label_set is not None}
        self._rows: Lru[str, FloatRows] = Lru(ROWS_BYTES)

    def get(self, name: str) -> LabelSet:
        """One label set.

        Raises:
            LabelSetNotFoundError
        """
        if (found := self._sets.get(name)) is None:
            raise LabelSetNotFoundError(name, self._sets)
        return found

    def all(self) -> list[LabelSet]:
        """All label sets, by name."""
        return [self._sets[name] for name in sorted(self._sets)]

    async def create(
        self, name: str, model: Model, labels: Labels, deadline: float | None = None
    ) -> LabelSet:
        """Encodes and stores a label set; on disk when it returns.

        Raises:
            RequestError, LabelSetExistsError, OverloadedError, StorageError
        """
        check_name("label set", name)
        self._check_free(name)
        info = model.ready().info
        rows = await label_rows(self._embedder, model, labels, EncodeOptions(), deadline)
        # another call may have stored one of this name meanwhile
        self._check_free(name)
        made = LabelSet(name, info.id, info.space_id, labels, rows.shape[1], time.time_ns())
        self._sets[name] = made
        data = np.ascontiguousarray(rows, "<f4").tobytes()
        try:
            await run_in(self._pools.write, self._catalog.save_label_set, name, made.record(), data)
        except BaseException:
            del self._sets[name]
            raise
        return made

    async def delete(self, name: str) -> None:
        """Deletes a label set.

        Raises:
            LabelSetNotFoundError, StorageError
        """
        self.get(name)
        await run_in(self._pools.write, self._catalog.delete_label_set, name)
        self._sets.pop(name, None)
        self._rows.pop(name)

    async def rows(self, found: LabelSet) -> FloatRows:
        """The vector of each label, unit rows float32 (labels, dim)."""
        rows = self._rows.get(found.name)
        if rows is None:
            data = await run_in(self._pools.search, self._catalog.label_set_rows, found.name)
            if data is None:
                raise LabelSetNotFoundError(found.name, self._sets)
            rows = np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, found.dim)
            self._rows.put(found.name, rows, rows.nbytes)
        return rows

    def _check_free(self, name: str) -> None:
        if name in self._sets:
            raise LabelSetExistsError(name)
