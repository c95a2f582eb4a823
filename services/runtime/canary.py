"""Small questions whose answers must come: the proof behind SERVING.

Canaries pass by the cache, which would answer for a dead model, and by every limit on what may
wait: overload is not illness.
"""

import asyncio
from collections.abc import Sequence
from itertools import count

import numpy as np

from embedders.base import WARM_ITEMS, EncodeOptions, Encoder, Item, Modality, Prepared
from embedders.vectors import FloatRows
from index.base import Collection, Engine, SearchRequest
from index.errors import VectorIndexError
from index.types import CollectionSpec, Metric
from index.vocabulary import VocabularyCollection
from services.runtime.encoding import EncodeBatcher, Rows, look_up
from services.runtime.models import Model
from services.runtime.pools import Pools
from services.runtime.queueing import Claim, Priority

# no face is in a made-up picture: it is one that was cut out already
OPTIONS = EncodeOptions(cropped=True)
CLAIM = Claim(Priority.CANARY)
POINTS = 16
SAME = 0.999


class CanaryError(Exception):
    """A canary came back with another answer than the one that is known."""


async def ask_model(pools: Pools, model: Model) -> None:
    """Encodes a text and an image, as far as the model takes them, or a key of its vocabulary.

    Raises:
        CanaryError, or whatever the encoder raises.
    """
    encoder, batcher = model.ready(), model.batcher
    if batcher is None:
        await _look_up(pools, encoder, first_key(model))
        return
    for modality in sorted(encoder.info.modalities & WARM_ITEMS.keys()):
        await _encode(pools, encoder, batcher, Item(modality, WARM_ITEMS[modality]))


async def ask_vocabulary(pools: Pools, model: Model) -> None:
    """Finds a key of a lookup model by its own row.

    Models of other kinds have nothing to find, and a row of zeros (`<pad>`) finds nothing.

    Costs a search over the whole vocabulary.

    Raises:
        CanaryError, or whatever the search raises.
    """
    vocabulary = model.vocabulary
    if vocabulary is None:
        return
    rows = await _look_up(pools, model.ready(), first_key(model))
    if not rows.any():
        return
    found = await pools.search.run(lambda: vocabulary.search(SearchRequest(rows, k=1)), urgent=True)
    # another key may have the very same vector
    if found.scores[0] < SAME:
        raise CanaryError(f"the row of {first_key(model)!r} finds {list(found.points.ids)}")


def first_key(model: Model) -> str:
    """The most frequent key of a lookup model."""
    assert model.vocabulary is not None
    return model.vocabulary.ids_of(np.zeros(1, np.intp))[0]


async def _look_up(pools: Pools, encoder: Encoder, key: str) -> FloatRows:
    items = [Item(Modality.KEY, key)]
    [found], _ = await pools.prepare.run(lambda: look_up(encoder, items, OPTIONS), urgent=True)
    if isinstance(found, Exception):
        raise found
    return found.rows


async def _encode(pools: Pools, encoder: Encoder, batcher: EncodeBatcher, item: Item) -> None:
    [prepared] = await pools.prepare.run(
        lambda: encoder.prepare_batch([item], OPTIONS), urgent=True
    )
    if not isinstance(prepared, Prepared):
        raise prepared
    key = (item.modality, OPTIONS)
    result = await batcher.run([prepared], [prepared.cost], key, CLAIM)
    check_rows(result.results)


def check_rows(results: Sequence[Rows | Exception]) -> None:
    """Refuses an answer that is not one finite row.

    Raises:
        CanaryError, or what the encoder raised.
    """
    [found] = results
    if isinstance(found, Exception):
        raise found
    rows, _ = found
    if len(rows) != 1 or not np.isfinite(rows).all():
        raise CanaryError(f"{len(rows)} rows for one item, or numbers that are not finite")


async def ask_writes(engine: Engine) -> None:
    """Asks whether the disk takes what is written to the stored collections.

    Raises:
        CanaryError: it does not; names the collections.
    """
    faults = await asyncio.to_thread(engine.write_faults)
    if faults:
        told = (f"{name}: {fault}" if name else fault for name, fault in sorted(faults.items()))
        raise CanaryError(f"writes fail: {'; '.join(told)}")


class SearchCanary:
    """A search whose answer is known, through the threads of all searches, and a stored read.

    The read asks one stored collection after another for an id: it costs the same in a large one.
    """

    def __init__(self, pools: Pools, engine: Engine) -> None:
        self._pools, self._engine, self._turn = pools, engine, count()
        self._ids = [f"canary-{number}" for number in range(POINTS)]
        rows = np.eye(POINTS, dtype=np.float32)
        spec = CollectionSpec(POINTS, Metric.DOT, recipe="exact")
        self._points = VocabularyCollection("canary", self._ids, rows, spec)
        self._request = SearchRequest(rows, k=1)

    async def ask(self) -> None:
        """Searches and reads.

        Raises:
            CanaryError, or whatever index and store raise.
        """
        await self._pools.search.run(self._search, urgent=True)
        await self._pools.search.run(self._read, urgent=True)

    def _search(self) -> None:
        found = self._points.search(self._request)
        if list(found.points.ids) != self._ids:
            raise CanaryError(f"a search for {self._ids} found {list(found.points.ids)}")

    def _read(self) -> None:
        collection = self._next()
        if collection is None:
            return
        try:
            collection.get(self._ids[:1])
        except Exception:
            # deleted meanwhile is no illness
            if self._usable(collection.name) is collection:
                raise

    def _next(self) -> Collection | None:
        names = self._engine.names()
        return self._usable(names[next(self._turn) % len(names)]) if names else None

    def _usable(self, name: str) -> Collection | None:
        """The collection; None where it has gone, or could not be opened at the start."""
        try:
            return self._engine.get(name)
        except VectorIndexError:
            return None
