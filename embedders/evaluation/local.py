"""An encoder of this process as the model under test: for scripts, trainers and tests."""

from collections.abc import Sequence

import numpy as np

from embedders.base import EncodeOptions, Encoder, Item, Prepared, Region
from embedders.errors import ModelError
from embedders.evaluation.base import EmbeddedItems, SubjectInfo
from embedders.lookup import LookupEncoder
from embedders.vectors import FloatRows, IndexArray


class LocalSubject:
    """An encoder, asked directly."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def info(self) -> SubjectInfo:
        """What is known of it."""
        return SubjectInfo.of(self._encoder.info, isinstance(self._encoder, LookupEncoder))

    def embed(self, items: Sequence[Item], options: EncodeOptions) -> EmbeddedItems:
        """One row an item."""
        self._encoder.check_options(options)
        prepared = self._encoder.prepare_batch(items, options)
        good = [i for i, one in enumerate(prepared) if isinstance(one, Prepared)]
        errors = {i: str(one) for i, one in enumerate(prepared) if not isinstance(one, Prepared)}
        if not good:
            return EmbeddedItems(np.zeros((len(items), self.info.dim), np.float32), errors)
        batch = [one for one in prepared if isinstance(one, Prepared)]
        encoded = self._encoder.encode(batch, options)
        errors |= {good[i]: str(error) for i, error in encoded.errors.items()}
        places = np.array(good, np.intp)[encoded.index]
        return one_row_each(encoded.rows, places, encoded.regions or (), len(items), errors)

    def vocabulary(self, limit: int) -> tuple[list[str], FloatRows]:
        """Keys and rows."""
        if not isinstance(self._encoder, LookupEncoder):
            raise ModelError(f"model {self.info.id!r} has no vocabulary")
        known = self._encoder.vocabulary
        return known.keys[: limit or None], known.vectors[: limit or None]


def one_row_each(
    rows: FloatRows,
    index: IndexArray,
    regions: Sequence[Region],
    count: int,
    errors: dict[int, str],
) -> EmbeddedItems:
    """A row for each of `count` items, of the largest region where there are several.

    Args:
        rows: float32 (r, dim).
        index: position of each row's item, ascending, intp (r,).
        regions: of each row, or empty.
        errors: reasons by position; items without a row get one.
    """
    sizes = np.array([region.width * region.height for region in regions] or np.ones(len(rows)))
    # the last one written stays: by size ascending, and of equals the first row
    order = np.lexsort((-np.arange(len(rows)), sizes))
    found = np.zeros((count, rows.shape[1]), np.float32)
    found[index[order]] = rows[order]
    missing = set(range(count)) - set(index.tolist()) - errors.keys()
    return EmbeddedItems(found, errors | dict.fromkeys(missing, "the model finds nothing in it"))
