"""A small question whose answer must come: the proof behind SERVING."""

import logging

import numpy as np

from embedders.base import Item, Modality
from index.base import SearchRequest
from services.runtime.collections import Collections
from services.runtime.models import Model
from services.runtime.pools import run_in
from services.runtime.queueing import Priority

logger = logging.getLogger(__name__)

TEXT = "a canary sings"


async def canary(collections: Collections, model: Model) -> bool:
    """Whether the model encodes, and its vocabulary, where it has one, finds a key by its row."""
    try:
        await _ask(collections, model)
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is no
        logger.warning("canary failed", extra={"model": model.config.id, "error": repr(error)})
        return False
    return True


async def _ask(collections: Collections, model: Model) -> None:
    encoder = model.ready()
    if model.vocabulary is not None:
        key = model.vocabulary.ids_of(np.zeros(1, np.intp))[0]
        rows = (await collections.embedder.embed(model, [_key(key)])).rows
        found = await run_in(
            collections.pools.search, model.vocabulary.search, SearchRequest(rows, k=1)
        )
        if list(found.points.ids) != [key]:
            raise AssertionError(f"{key!r} finds {list(found.points.ids)}")
    elif Modality.TEXT in encoder.info.modalities:
        item = Item(Modality.TEXT, TEXT)
        result = await collections.embedder.embed(model, [item], priority=Priority.CANARY)
        if result.errors or not np.isfinite(result.rows).all() or len(result.rows) != 1:
            raise AssertionError(f"no row for a text: {result.errors}")


def _key(key: str) -> Item:
    return Item(Modality.KEY, key)
