"""What a point was made from, as a hash that is stored with it."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from latentspace.images import image_bytes
from latentspace.indexing.records import Record
from latentspace.inputs import ImageInput, KeyInput, TextInput, VectorInput
from latentspace.payloads import dump_payload

DIGEST_BYTES = 16


def digest_of(record: Record, settings: Mapping[str, Any]) -> str:
    """BLAKE2b of 128 bits, hexadecimal, of the input, the payload and how they are indexed.

    Args:
        settings: what else changes the point, such as the size that images are made.
    """
    found = blake2b(digest_size=DIGEST_BYTES)
    for part in (
        type(record.input).__name__.encode(),
        content_of(record),
        dump_payload(record.payload),
        json.dumps(settings, sort_keys=True, default=str).encode(),
    ):
        # lengths keep parts apart
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


def content_of(record: Record) -> bytes:
    """The bytes of an input.

    Raises:
        InvalidArgumentError: an image that cannot be read, or a stored point.
    """
    given = record.input
    match given:
        case TextInput() | KeyInput():
            return given.value.encode("utf-8", "surrogatepass")
        case ImageInput():
            return image_bytes(given.source)
        case VectorInput():
            known = given.space_id + (given.modality or "")
            return known.encode() + given.values.astype("<f4").tobytes()
    raise TypeError(f"{record.place}: a source does not give {type(given).__name__}")
