"""Identification: whose faces are in these photos?"""

from collections.abc import Iterable

from latentspace.aio.collections import AsyncCollectionCalls
from latentspace.aio.embedding import AsyncEmbeddingCalls
from latentspace.aio.models import AsyncModelCalls
from latentspace.aio.search import AsyncSearchCalls
from latentspace.filters import FilterLike
from latentspace.images import ImageSource
from latentspace.inputs import Input
from latentspace.requests.identification import NOTHING_FOUND, gallery_model, same_threshold
from latentspace.requests.options import EmbedOptions, SearchParams
from latentspace.results.embedding import EmbeddingBatch
from latentspace.results.identification import Identified, identified_of
from latentspace.results.listing import Listing
from latentspace.results.partial import OnError, raise_failed
from latentspace.results.search import Match


class AsyncIdentificationCalls(
    AsyncModelCalls, AsyncEmbeddingCalls, AsyncCollectionCalls, AsyncSearchCalls
):
    """Inputs against a gallery: a collection that holds what is known."""

    async def identify(
        self,
        collection: str,
        *,
        images: Iterable[ImageSource] | None = None,
        texts: Iterable[str] | None = None,
        keys: Iterable[str] | None = None,
        inputs: Iterable[Input] | None = None,
        label: str | None = None,
        threshold: float | None = None,
        k: int = 1,
        cropped: bool = False,
        filter: FilterLike | None = None,
        params: SearchParams | None = None,
        options: EmbedOptions | None = None,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> Listing[list[Identified]]:
        """For each image its faces, and whose they are; an image without faces has none.

        Every face that the collection's model finds is searched in the collection. Models that
        detect nothing give one answer for each input.

        Args:
            collection: the gallery, made with a model.
            label: payload field that names a point's person; None: the id of the point is the name.
            threshold: score from which a face is known; None is the model's calibrated one.
            k: nearest points to return of each face; the best of them decides.
            cropped: images are crops already, nothing is detected in them.
            filter: only points that pass.
            on_error: "return" gives nothing for images that failed.

        Raises:
            InvalidArgumentError: no threshold is given, and the model has none.
            PartialError: some images failed; its `result` has the others' faces.
        """
        gallery = await self.collection(collection, timeout_s=timeout_s)
        model = gallery_model(gallery)
        if threshold is None:
            threshold = same_threshold(gallery, await self.model(model, timeout_s=timeout_s))
        embed: EmbedOptions = {"role": "query", "cropped": cropped, **(options or {})}
        batch = await self.embed_batch(
            model,
            images=images,
            texts=texts,
            keys=keys,
            inputs=inputs,
            on_error="return",
            timeout_s=timeout_s,
            **embed,
        )
        nearest = await self._nearest(collection, batch, k, filter, params, timeout_s)
        result = identified_of(batch, nearest, label, threshold)
        failed = {i: one for i, one in batch.errors.items() if one.reason != NOTHING_FOUND}
        raise_failed(failed, batch.inputs, result, on_error)
        return result

    async def _nearest(
        self,
        collection: str,
        batch: EmbeddingBatch,
        k: int,
        filter: FilterLike | None,
        params: SearchParams | None,
        timeout_s: float | None,
    ) -> list[list[Match]]:
        """The k nearest points of each row."""
        if not len(batch):
            return []
        found = await self.search_batch(
            collection,
            vectors=batch.rows,
            space_id=batch.space_id,
            k=k,
            filter=filter,
            params=params,
            with_payload=True,
            timeout_s=timeout_s,
        )
        return list(found)
