"""What a point was made from, as a hash that is stored with it."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from latentspace.images import image_bytes
from latentspace.indexing.records import Record
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.inputs import ImageInput, KeyInput, TextInput, VectorInput
from latentspace.payloads import dump_payload

DIGEST_BYTES = 16
# the server keeps 64 KiB, of which the digest itself takes some
MAX_PAYLOAD_BYTES = 64 * 1024 - 64


def digest_of(record: Record, settings: Mapping[str, Any]) -> str:
    """BLAKE2b of 128 bits, hexadecimal, of the input, the payload and how they are indexed.

    Args:
        settings: what else changes the point, such as the size that images are made.

    Raises:
        RecordError: the payload is larger than the server keeps.
        InvalidArgumentError: it cannot be written as JSON, or an image cannot be read.
    """
    payload = dump_payload(record.payload)
    if len(payload) > MAX_PAYLOAD_BYTES:
        message = f"the payload has {len(payload)} bytes; at most 64 KiB are kept, with the digest"
        raise RecordError(Reason.BAD_PAYLOAD, message)
    found = blake2b(digest_size=DIGEST_BYTES)
    for part in (
        type(record.input).__name__.encode(),
        content_of(record),
        payload,
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
