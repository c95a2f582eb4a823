"""What makes two vectors comparable."""

import hashlib
import json
from collections.abc import Mapping

SPACE_ID_LENGTH = 16


def space_id(
    revision: str,
    dim: int,
    normalized: bool,
    prompts: Mapping[str, str],
    parts: Mapping[str, str],
) -> str:
    """16 hexadecimal digits of a SHA-256 over all that changes vectors.

    The role and the compute format of a call are not in it: both roles of a model are one
    space. Stable across machines: the hash is of canonical JSON.
    """
    canonical = json.dumps(
        {
            "revision": revision,
            "dim": dim,
            "normalized": normalized,
            "prompts": dict(prompts),
            "parts": dict(parts),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:SPACE_ID_LENGTH]
