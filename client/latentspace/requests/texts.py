"""Texts that stay in the payloads of their points."""

from collections.abc import Iterable, Sequence

from latentspace.inputs import Input, TextInput
from latentspace.payloads import KEPT_CHARACTERS, Payload


def with_texts(
    field: str, items: Sequence[Input], payloads: Iterable[Payload | None] | None
) -> list[Payload | None]:
    """The payloads, each with the text of its item where that is one and not too long.

    Payloads of another number than the items come back as they are, to be refused as such.
    """
    own: list[Payload | None] = [None] * len(items) if payloads is None else list(payloads)
    if len(own) != len(items):
        return own
    return [_with_text(field, item, one) for item, one in zip(items, own, strict=True)]


def _with_text(field: str, item: Input, payload: Payload | None) -> Payload | None:
    if not isinstance(item, TextInput) or not isinstance(item.value, str):
        return payload
    if len(item.value) > KEPT_CHARACTERS:
        return payload
    return {field: item.value, **(payload or {})}
