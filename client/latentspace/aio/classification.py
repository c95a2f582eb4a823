"""Calls that name things: zero-shot classification and comparison."""

from collections.abc import Iterable, Sequence

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.enums import Activation
from latentspace.errors import AlreadyExistsError
from latentspace.images import ImageSource
from latentspace.inputs import Input, input_sieve
from latentspace.requests.classification import (
    check_same_labels,
    classify_frame,
    classify_requests,
    compare_requests,
    label_spec,
    pair_inputs,
)
from latentspace.requests.options import EmbedOptions
from latentspace.results.classification import Label, LabelSet, labels_of
from latentspace.results.comparison import Comparison, comparisons_of, failed_comparison
from latentspace.results.listing import Listing
from latentspace.results.partial import OnError, raise_failed
from latentspace.status import item_errors
from latentspace.v1 import classification_service_pb2
from latentspace.vectors import VectorsLike


class AsyncClassificationCalls(AsyncCalls):
    """Classification without training, label sets, and scores of pairs."""

    async def classify(
        self,
        model: str,
        *,
        labels: Sequence[str] | None = None,
        templates: str | Sequence[str] | None = None,
        label_set: str | None = None,
        texts: Iterable[str] | None = None,
        images: Iterable[ImageSource] | None = None,
        keys: Iterable[str] | None = None,
        vectors: VectorsLike | None = None,
        inputs: Iterable[Input] | None = None,
        top_k: int = 0,
        min_probability: float = 0.0,
        activation: Activation | str | None = None,
        logit_scale: float | None = None,
        options: EmbedOptions | None = None,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> Listing[list[Label]]:
        """For each item its labels, best first. What is None is the model's own.

        Args:
            labels: what to choose from; or `label_set`, the name of a stored one.
            templates: sentences with one "{}", or the name of a template set as "imagenet".
            top_k: best labels of each item; 0 means all.
            min_probability: leave out labels below; an item may then have none.
            activation: "softmax" or "sigmoid".
            logit_scale: factor on cosines.
            on_error: "return" gives no labels for items that failed.

        Raises:
            PartialError: some items failed; its `result` has the others' labels.
        """
        frame = classify_frame(
            model,
            labels=labels,
            templates=templates,
            label_set=label_set,
            top_k=top_k,
            min_probability=min_probability,
            activation=activation,
            logit_scale=logit_scale,
            options=options,
        )
        items = input_sieve(inputs=inputs, texts=texts, images=images, keys=keys, vectors=vectors)
        parts = await self._rpc.unary_parts(
            self._stubs.classification.Classify,
            classify_requests(frame, items, self._rpc.options),
            CallKind.EMBED,
            timeout_s,
            lambda request: len(request.inputs),
        )
        sifted = items.whole()
        result = Listing(sifted.spread(labels_of([reply for _, reply in parts]), list[Label]))
        raise_failed(sifted.placed(item_errors(parts)), len(result), result, on_error)
        return result

    async def create_label_set(
        self,
        name: str,
        *,
        model: str,
        labels: Sequence[str],
        templates: str | Sequence[str] | None = None,
        exist_ok: bool = False,
        timeout_s: float | None = None,
    ) -> LabelSet:
        """Encodes and stores a label set; the arguments are those of `classify`.

        Many labels times many templates take minutes: the longest wait is that of "labels", 900 s
        by default.

        Args:
            exist_ok: a stored set of this name, model, labels and templates is returned as it is.

        Raises:
            AlreadyExistsError: the name is taken; with `exist_ok`, by another set.
        """
        request = classification_service_pb2.CreateLabelSetRequest(
            name=name, model=model, spec=label_spec(labels, templates)
        )
        try:
            reply = await self._rpc.unary(
                self._stubs.classification.CreateLabelSet, request, CallKind.LABELS, timeout_s
            )
        except AlreadyExistsError:
            if not exist_ok:
                raise
            existing = await self.label_set(name, timeout_s=timeout_s)
            check_same_labels(existing, request)
            return existing
        return LabelSet.from_message(reply.label_set)

    async def label_set(self, name: str, *, timeout_s: float | None = None) -> LabelSet:
        """One label set."""
        request = classification_service_pb2.GetLabelSetRequest(name=name)
        reply = await self._rpc.unary(
            self._stubs.classification.GetLabelSet, request, CallKind.READ, timeout_s
        )
        return LabelSet.from_message(reply.label_set)

    async def label_sets(self, *, timeout_s: float | None = None) -> Listing[LabelSet]:
        """All label sets, by name."""
        request = classification_service_pb2.ListLabelSetsRequest()
        reply = await self._rpc.unary(
            self._stubs.classification.ListLabelSets, request, CallKind.READ, timeout_s
        )
        return Listing(map(LabelSet.from_message, reply.label_sets))

    async def delete_label_set(self, name: str, *, timeout_s: float | None = None) -> None:
        """Deletes a label set."""
        request = classification_service_pb2.DeleteLabelSetRequest(name=name)
        await self._rpc.unary(
            self._stubs.classification.DeleteLabelSet, request, CallKind.CREATE, timeout_s
        )

    async def compare(
        self,
        model: str,
        *,
        texts: Iterable[tuple[str, str]] | None = None,
        images: Iterable[tuple[ImageSource, ImageSource]] | None = None,
        keys: Iterable[tuple[str, str]] | None = None,
        pairs: Iterable[tuple[Input, Input]] | None = None,
        threshold: float | None = None,
        options: EmbedOptions | None = None,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> Listing[Comparison]:
        """Cosines of pairs, and whether they are the same where a threshold is known.

        Args:
            pairs: of inputs of any kind.
            threshold: instead of the model's calibrated one.
            on_error: "return" gives NaN for pairs that failed.

        Raises:
            PartialError: some pairs failed; its `result` has the others.
        """
        sieve = pair_inputs(pairs, texts, images, keys)
        parts = await self._rpc.unary_parts(
            self._stubs.search.Compare,
            compare_requests(
                model,
                sieve,
                threshold,
                options,
                self._rpc.options,
            ),
            CallKind.EMBED,
            timeout_s,
            lambda request: len(request.pairs),
        )
        sifted = sieve.whole()
        scored = [pair for _, reply in parts for pair in comparisons_of(reply)]
        result = Listing(sifted.spread(scored, failed_comparison))
        raise_failed(sifted.placed(item_errors(parts)), len(result), result, on_error)
        return result
