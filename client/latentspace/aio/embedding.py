"""Calls that make vectors."""

from collections.abc import AsyncIterator, Iterable
from typing import Unpack

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.images import ImageSource
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, input_sieve, only_one
from latentspace.requests.embedding import MAX_ITEMS, embed_requests, stream_requests
from latentspace.requests.keywords import check_keywords
from latentspace.requests.options import EMBED_KEYWORDS, EmbedOptions
from latentspace.results.embedding import EmbeddingBatch
from latentspace.results.partial import OnError
from latentspace.spaces import Embeddings


class AsyncEmbeddingCalls(AsyncCalls):
    """Raw items to vectors."""

    async def embed(
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
    ) -> Embeddings:
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
        check_keywords(self.embed, options, EMBED_KEYWORDS)
        # a single item is a batch of one whose row is taken out again
        one = _one_input(text, image, key)
        if one and only_one(_given(one=one, texts=texts, images=images, keys=keys, inputs=inputs)):
            inputs = one
        batch = await self.embed_batch(
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

    async def embed_batch(
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
        check_keywords(self.embed_batch, options, EMBED_KEYWORDS)
        items = input_sieve(inputs=inputs, texts=texts, images=images, keys=keys)
        parts = await self._rpc.unary_parts(
            self._stubs.embedding.Embed,
            embed_requests(model, items, options, self._rpc.options),
            CallKind.EMBED,
            timeout_s,
            lambda request: len(request.inputs),
        )
        batch = EmbeddingBatch.from_parts(parts, items.whole())
        if on_error == "raise":
            batch.raise_errors()
        return batch

    async def embed_stream(
        self,
        model: str,
        *,
        texts: Iterable[str] | None = None,
        images: Iterable[ImageSource] | None = None,
        keys: Iterable[str] | None = None,
        inputs: Iterable[Input] | None = None,
        batch_items: int = MAX_ITEMS,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> AsyncIterator[EmbeddingBatch]:
        """Vectors of any number of items, batch after batch in order, in flat memory.

        Items are taken as they are needed: a few batches are under way, and no more are sent
        before the next is taken from here. The server treats a stream as bulk work, which gives
        way to single calls, and makes it wait where it would refuse a call for load. A stream
        that loses its connection goes on with the batches that were not answered.

        Args:
            batch_items: items of a batch that are sent; the last has fewer, and so have batches of
                large items. Those that cannot be sent go with the batch after them.
            on_error: "return" gives what failed in each batch's `errors`; else the first batch
                with a failed item ends the stream.
            timeout_s: seconds for the whole stream; None is no limit.
            options: see `EmbedOptions`.

        Raises:
            PartialError: some items of a batch failed; its `result` is the batch.
        """
        check_keywords(self.embed_stream, options, EMBED_KEYWORDS)
        items = input_sieve(inputs=inputs, texts=texts, images=images, keys=keys)
        replies = self._rpc.exchange(
            self._stubs.embedding.EmbedStream,
            stream_requests(model, items, options, self._rpc.options, batch_items),
            CallKind.WATCH,
            timeout_s,
        )
        async for request, reply in replies:
            sent = len(request.inputs)
            batch = EmbeddingBatch.from_parts([(sent, reply)], items.taken(sent))
            if on_error == "raise":
                batch.raise_errors()
            yield batch
        if (rest := items.rest()).count:  # the last of all could not be sent
            batch = EmbeddingBatch.from_parts([], rest)
            if on_error == "raise":
                batch.raise_errors()
            yield batch


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
