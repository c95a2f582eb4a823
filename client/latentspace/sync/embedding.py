"""Calls that make vectors."""
# Generated from aio/embedding.py by scripts/generate_sync_client.py; edit that.

from collections.abc import Iterable
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from latentspace.calls import CallKind
from latentspace.images import ImageSource
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, only_one, plural_inputs
from latentspace.requests.embedding import embed_requests
from latentspace.requests.options import EmbedOptions
from latentspace.results.embedding import EmbeddingBatch
from latentspace.results.partial import OnError
from latentspace.sync.base import Calls


class EmbeddingCalls(Calls):
    """Raw items to vectors."""

    def embed(
        self,
        model: str,
        *,
        text: str | None = None,
        texts: Iterable[str] | None = None,
        image: ImageSource | None = None,
        images: Iterable[ImageSource] | None = None,
        key: str | None = None,
        keys: Iterable[str] | None = None,
        inputs: Iterable[Input] | None = None,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> NDArray[np.float32]:
        """Vectors: float32 (dim,) for `text`, `image` or `key`, (n, dim) for the lists.

        Args:
            model: its id.
            on_error: "return" leaves NaN in the rows of items that failed.
            timeout_s: seconds for each part that a large batch is split into.
            options: see `EmbedOptions`.

        Raises:
            PartialError: some items failed; its `vectors` have NaN in their rows.
            RowCountError: an item gave no vector or several; use `embed_batch`.
        """
        # a single item is a batch of one whose row is taken out again
        one = _one_input(text, image, key)
        if one and only_one(_given(one=one, texts=texts, images=images, keys=keys, inputs=inputs)):
            inputs = one
        batch = self.embed_batch(
            model,
            texts=texts,
            images=images,
            keys=keys,
            inputs=inputs,
            on_error="return" if on_error == "return" and not one else "raise",
            timeout_s=timeout_s,
            **options,
        )
        rows = batch.one_each()
        return rows[0] if one else rows

    def embed_batch(
        self,
        model: str,
        *,
        texts: Iterable[str] | None = None,
        images: Iterable[ImageSource] | None = None,
        keys: Iterable[str] | None = None,
        inputs: Iterable[Input] | None = None,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> EmbeddingBatch:
        """Vectors with all that is known of them: whose they are, tokens, truncation, regions.

        Args:
            on_error: "return" gives what failed in the batch's `errors`.
            options: see `EmbedOptions`.

        Raises:
            PartialError: some items failed; its `result` is the batch.
        """
        items = plural_inputs(inputs=inputs, texts=texts, images=images, keys=keys)
        parts = self._rpc.unary_parts(
            self._stubs.embedding.Embed,
            embed_requests(model, items, options, self._rpc.options),
            CallKind.EMBED,
            timeout_s,
            lambda request: len(request.inputs),
        )
        batch = EmbeddingBatch.from_parts(parts)
        if on_error == "raise":
            batch.raise_errors()
        return batch


def _one_input(text: str | None, image: ImageSource | None, key: str | None) -> list[Input] | None:
    given = _given(text=text, image=image, key=key)
    if not given:
        return None
    only_one(given)
    if text is not None:
        return [TextInput(text)]
    if key is not None:
        return [KeyInput(key)]
    return [ImageInput(image if image is not None else b"")]


def _given(**named: object) -> list[str]:
    return [name for name, value in named.items() if value is not None]
