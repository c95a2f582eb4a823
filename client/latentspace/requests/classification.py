"""Requests of classification and comparison."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from latentspace.calls import ClientOptions
from latentspace.chunks import split
from latentspace.enums import Activation, to_wire
from latentspace.errors import AlreadyExistsError, InvalidArgumentError
from latentspace.images import ImageSource
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, input_message, only_one
from latentspace.inputs import strings as string_list
from latentspace.requests.embedding import InputSieve, input_parts
from latentspace.requests.options import EmbedOptions, embed_options
from latentspace.results.classification import LabelSet
from latentspace.sifting import Sieve
from latentspace.v1 import classification_service_pb2, search_service_pb2

MAX_PAIRS = 128
T = TypeVar("T")


def label_spec(
    labels: Sequence[str], templates: str | Sequence[str] | None
) -> classification_service_pb2.LabelSpec:
    """Labels and templates; one string names a template set of the server, such as "imagenet".

    Raises:
        InvalidArgumentError: no labels, or a template without "{}".
    """
    names = string_list(labels, "labels")
    if not names:
        raise InvalidArgumentError("labels: is empty; pass at least one")
    if templates is None:
        return classification_service_pb2.LabelSpec(labels=names)
    if isinstance(templates, str) and "{}" not in templates:
        return classification_service_pb2.LabelSpec(labels=names, template_set=templates)
    sentences = string_list(templates, "templates")
    for sentence in sentences:
        if sentence.count("{}") != 1:
            raise InvalidArgumentError(f'templates: {sentence!r} does not have exactly one "{{}}"')
    return classification_service_pb2.LabelSpec(labels=names, templates=sentences)


def check_same_labels(
    existing: LabelSet, request: classification_service_pb2.CreateLabelSetRequest
) -> None:
    """Refuses a stored label set in the place of the one that was to be created.

    Raises:
        AlreadyExistsError: naming what differs.
    """
    spec = request.spec
    asked = {"model": request.model, "labels": tuple(spec.labels)}
    if spec.template_set or spec.templates:
        asked |= {"template_set": spec.template_set, "templates": tuple(spec.templates)}
    different = [name for name, value in asked.items() if getattr(existing, name) != value]
    if different:
        raise AlreadyExistsError(
            f"there is a label set {request.name!r} already, with other {', '.join(different)}: "
            "delete it with delete_label_set, or choose another name"
        )


def classify_frame(
    model: str,
    *,
    labels: Sequence[str] | None,
    templates: str | Sequence[str] | None,
    label_set: str | None,
    top_k: int,
    min_probability: float,
    activation: Activation | str | None,
    logit_scale: float | None,
    options: EmbedOptions | None,
) -> classification_service_pb2.ClassifyRequest:
    """A request without its items.

    Raises:
        InvalidArgumentError: not exactly one of `labels` and `label_set`.
    """
    if (labels is None) == (label_set is None):
        raise InvalidArgumentError("pass either labels= or label_set=")
    if label_set is not None and templates is not None:
        raise InvalidArgumentError("templates: a label set has its own; pass them with labels=")
    request = classification_service_pb2.ClassifyRequest(
        model=model,
        spec=None if labels is None else label_spec(labels, templates),
        top_k=top_k,
        min_probability=min_probability,
        activation=to_wire(Activation, activation, "activation"),
        logit_scale=logit_scale,
        options=embed_options(options),
    )
    if label_set is not None:
        request.label_set = label_set
    return request


def classify_requests(
    frame: classification_service_pb2.ClassifyRequest,
    inputs: InputSieve,
    options: ClientOptions,
) -> Iterator[classification_service_pb2.ClassifyRequest]:
    """The parts of a batch."""
    for part in input_parts(inputs, options):
        request = classification_service_pb2.ClassifyRequest(inputs=part)
        request.MergeFrom(frame)
        yield request


def pair_inputs(
    pairs: Iterable[tuple[Input, Input]] | None,
    texts: Iterable[tuple[str, str]] | None,
    images: Iterable[tuple[ImageSource, ImageSource]] | None,
    keys: Iterable[tuple[str, str]] | None,
) -> Sieve[tuple[Input, Input], search_service_pb2.InputPair]:
    """The pairs of the one keyword that is given, where those that cannot be sent fail alone."""
    given = {"pairs": pairs, "texts": texts, "images": images, "keys": keys}
    name = only_one(name for name, value in given.items() if value is not None)
    items = _pairs(pairs or (), "pairs")
    if texts is not None:
        items = ((TextInput(a), TextInput(b)) for a, b in _pairs(texts, "texts"))
    if images is not None:
        items = ((ImageInput(a), ImageInput(b)) for a, b in _pairs(images, "images"))
    if keys is not None:
        items = ((KeyInput(a), KeyInput(b)) for a, b in _pairs(keys, "keys"))
    return Sieve(items, _pair_message, name)


def _pair_message(pair: tuple[Input, Input]) -> search_service_pb2.InputPair:
    first, second = map(input_message, pair)
    return search_service_pb2.InputPair(first=first, second=second)


def _pairs(values: Iterable[tuple[T, T]], name: str) -> Iterator[tuple[T, T]]:
    """The same, once each is seen to be a pair."""
    if isinstance(values, str | bytes):
        raise InvalidArgumentError(f"{name}: expected a list of pairs, got {values!r:.80}")
    for i, pair in enumerate(values):
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise InvalidArgumentError(
                f"{name}[{i}]: expected a pair (a, b), got {pair!r:.80}; pass {name}=[(a, b), ...]"
            )
        yield pair[0], pair[1]


def compare_requests(
    model: str,
    pairs: Iterable[search_service_pb2.InputPair],
    threshold: float | None,
    embed: EmbedOptions | None,
    options: ClientOptions,
) -> Iterator[search_service_pb2.CompareRequest]:
    """The parts of a batch of pairs."""
    for part in split(
        pairs,
        search_service_pb2.InputPair.ByteSize,
        max_items=MAX_PAIRS,
        chunk_bytes=options.chunk_bytes,
        max_bytes=options.max_message_bytes,
    ):
        yield search_service_pb2.CompareRequest(
            model=model, pairs=part, threshold=threshold, options=embed_options(embed)
        )
