"""Large batches in parts that fit a message."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from latentspace.errors import MessageTooLargeError

T = TypeVar("T")

# Room for what is in a message beside the items.
MESSAGE_HEAD_BYTES = 64 * 1024
ITEM_HEAD_BYTES = 16


def split(
    items: Iterable[T],
    size: Callable[[T], int],
    *,
    max_items: int,
    chunk_bytes: int,
    max_bytes: int,
) -> Iterator[list[T]]:
    """Parts of at most `max_items` and about `chunk_bytes`, made as they are asked for.

    Raises:
        MessageTooLargeError: one item alone is over `max_bytes`; names its position.
    """
    part: list[T] = []
    filled = 0
    for position, item in enumerate(items):
        wanted = size(item) + ITEM_HEAD_BYTES
        if wanted + MESSAGE_HEAD_BYTES > max_bytes:
            raise MessageTooLargeError(
                f"item {position} takes {wanted:,} bytes, over the message limit of "
                f"{max_bytes:,}: make it smaller, or raise max_message_bytes here and on the server"
            )
        if part and (len(part) >= max_items or filled + wanted > chunk_bytes):
            yield part
            part, filled = [], 0
        part.append(item)
        filled += wanted
    if part:
        yield part


def row_spans(count: int, row_bytes: int, *, max_items: int, chunk_bytes: int) -> list[slice]:
    """The same for `count` rows of equal size; no rows give one empty span."""
    step = max(1, min(max_items, chunk_bytes // max(1, row_bytes)))
    return [slice(start, min(count, start + step)) for start in range(0, max(1, count), step)]
