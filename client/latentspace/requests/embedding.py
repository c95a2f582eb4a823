"""Requests of EmbeddingService."""

from collections.abc import Iterable, Iterator

from latentspace.calls import ClientOptions
from latentspace.chunks import split
from latentspace.errors import InvalidArgumentError
from latentspace.inputs import Input
from latentspace.requests.options import EmbedOptions, embed_options
from latentspace.sifting import Sieve
from latentspace.v1 import embedding_service_pb2, types_pb2

# Small enough that a slow model answers a part within its deadline with others queued before
# it, large enough that the round trip does not show.
MAX_ITEMS = 256


InputSieve = Sieve[Input, types_pb2.Input]


def input_parts(
    inputs: Iterable[types_pb2.Input], options: ClientOptions, max_items: int = MAX_ITEMS
) -> Iterator[list[types_pb2.Input]]:
    """Inputs in parts; files are read as their part is made."""
    return split(
        inputs,
        types_pb2.Input.ByteSize,
        max_items=max_items,
        chunk_bytes=options.chunk_bytes,
        max_bytes=options.max_message_bytes,
    )


def embed_requests(
    model: str, inputs: InputSieve, embed: EmbedOptions, options: ClientOptions
) -> Iterator[embedding_service_pb2.EmbedRequest]:
    """The parts of a batch, made as they are asked for."""
    wire_options = embed_options(embed)
    for part in input_parts(inputs, options):
        yield embedding_service_pb2.EmbedRequest(model=model, inputs=part, options=wire_options)


def stream_requests(
    model: str,
    inputs: InputSieve,
    embed: EmbedOptions,
    options: ClientOptions,
    batch_items: int,
) -> Iterator[embedding_service_pb2.EmbedStreamRequest]:
    """The batches of a stream, made as they are asked for.

    Raises:
        InvalidArgumentError: `batch_items` is not positive.
    """
    if batch_items < 1:
        raise InvalidArgumentError(f"batch_items: expected at least 1, got {batch_items!r}")
    wire_options = embed_options(embed)
    for number, part in enumerate(input_parts(inputs, options, batch_items)):
        yield embedding_service_pb2.EmbedStreamRequest(
            model=model, inputs=part, options=wire_options, batch_id=number
        )
