"""Keys: everything that can change an answer, and nothing that cannot.

    ls1:{space_id}:{dtype}:{modality}:{role}:{options}:{content}

- `ls1`: this layout of keys and values. `space_id`: of the rows as they come out, cut ones too;
  it stands for revision, pooling, prompts, preprocessing, dimension and normalisation.
- `dtype`: what is computed in; where a call does not say, the model's own.
- `role`: chooses the prompt, and in some models the way through the network. Percent-encoded.
- `options`: dimensions (0: all), a letter for each option that is on (t: refuse_truncation,
  c: cropped, u: compose_unknown), a dot, and the digest of the model's configuration. All of
  them, whatever the modality: a hit then proves that the model takes these very options.
- `content`: BLAKE2b of 128 bits, in hexadecimal, of the text in UTF-8 or the bytes of the image.

The id of a model is not in it: two models alike, or two servers, share their rows.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b, file_digest
from typing import Any
from urllib.parse import quote

from embedders.base import EncodeOptions, Item, ModelInfo

PREFIX = "ls1"
CONTENT_BYTES = 16
DIGEST_BYTES = 8
FLAGS = {"refuse_truncation": "t", "cropped": "c", "compose_unknown": "u"}


def keys_of(
    info: ModelInfo, digest: str, options: EncodeOptions, items: Sequence[Item]
) -> list[str]:
    """The key of each item.

    Args:
        digest: `config_digest` of the model.
    """
    kinds = {item.modality for item in items}
    before = {kind: before_content(info, digest, options, kind) for kind in kinds}
    return [before[item.modality] + content(item.value) for item in items]


def before_content(info: ModelInfo, digest: str, options: EncodeOptions, kind: str) -> str:
    """A key up to its content; `kind` is a modality, or "labels"."""
    dtype = options.compute_dtype or info.compute_dtype
    role = quote(options.role, safe="")
    space = info.space(options.dimensions)
    return f"{PREFIX}:{space}:{dtype}:{kind}:{role}:{_options(info, digest, options)}:"


def content(value: str | bytes) -> str:
    """The hash of a raw item."""
    # not all that Python calls a string is Unicode; the model says so, not the cache
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return blake2b(raw, digest_size=CONTENT_BYTES).hexdigest()


def config_digest(family: str, options: Mapping[str, Any]) -> str:
    """The configuration of a model, for what changes rows and is not part of its space.

    A detector of faces is such a thing. Of an option that names a file, what is in the file
    counts: another file of that name is another configuration. The source of a model is not
    read: its space has the revision. Reads files, so it is to be called in a thread.
    """
    files = {name: _file_digest(value) for name, value in options.items()}
    canonical = json.dumps([family, dict(options), files], sort_keys=True, default=str)
    return blake2b(canonical.encode(), digest_size=DIGEST_BYTES).hexdigest()


def _options(info: ModelInfo, digest: str, options: EncodeOptions) -> str:
    cut = options.dimensions if options.dimensions != info.dim else 0
    flags = "".join(letter for name, letter in FLAGS.items() if getattr(options, name))
    return f"{cut}{flags}.{digest}"


def _file_digest(value: object) -> str:
    if not isinstance(value, str):
        return ""
    try:
        with open(value, "rb") as file:
            return file_digest(file, "blake2b").hexdigest()
    except (OSError, ValueError):  # most strings name no file
        return ""
