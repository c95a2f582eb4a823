"""Requests of analogies."""

from collections.abc import Iterable, Iterator

from latentspace.calls import ClientOptions
from latentspace.chunks import split
from latentspace.enums import AnalogyMethod, to_wire
from latentspace.errors import InvalidArgumentError
from latentspace.requests.keywords import MAX_K, whole_number
from latentspace.requests.queries import WordLike, add_weighted, terms_of, weighted
from latentspace.v1 import search_service_pb2

# Questions share words, and the server scores each word once a batch: parts are large.
MAX_QUESTIONS = 8192
_HIT_BYTES = 40
_HIT_WITH_PAYLOAD_BYTES = 2048

Question = tuple[WordLike | Iterable[WordLike], WordLike | Iterable[WordLike]]


def analogy_frame(
    collection: str,
    method: AnalogyMethod | str,
    k: int,
    vocabulary_limit: int,
    include_inputs: bool,
    with_payload: bool,
) -> search_service_pb2.AnalogyRequest:
    """A request without its questions."""
    return search_service_pb2.AnalogyRequest(
        collection=collection,
        method=to_wire(AnalogyMethod, method, "method"),
        k=whole_number(k, "k", 1, MAX_K),
        vocabulary_limit=vocabulary_limit,
        include_inputs=include_inputs,
        with_payload=with_payload,
    )


def analogy_requests(
    frame: search_service_pb2.AnalogyRequest,
    questions: Iterable[search_service_pb2.AnalogyQuestion],
    options: ClientOptions,
) -> Iterator[search_service_pb2.AnalogyRequest]:
    """The parts of a batch of questions."""
    hit = _HIT_WITH_PAYLOAD_BYTES if frame.with_payload else _HIT_BYTES
    for part in split(
        questions,
        search_service_pb2.AnalogyQuestion.ByteSize,
        max_items=max(1, min(MAX_QUESTIONS, options.chunk_bytes // (hit * frame.k))),
        chunk_bytes=options.chunk_bytes,
        max_bytes=options.max_message_bytes,
    ):
        request = search_service_pb2.AnalogyRequest(questions=part)
        request.MergeFrom(frame)
        yield request


def question_message(question: Question) -> search_service_pb2.AnalogyQuestion:
    """The wire form of a question.

    Raises:
        InvalidArgumentError: not (positives, negatives), or without any.
    """
    try:
        positive, negative = question
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"expected a question (positives, negatives), got {question!r:.80}"
        ) from error
    message = search_service_pb2.AnalogyQuestion()
    for words, side in ((positive, message.positives), (negative, message.negatives)):
        for term in terms_of(words):
            if isinstance(term, str):
                side.add().input.key = term  # the hot path: whole test sets are made of these
            else:
                item, weight = weighted(term)
                add_weighted(side.add(), item, weight)
    if not message.positives and not message.negatives:
        raise InvalidArgumentError("a question needs at least one positive or negative")
    return message
