"""What a CLIP model's space is made of, by its files alone, so that restarts agree."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from embedders.clip.files import ClipFiles
from embedders.sentence.identity import TOKENIZER_FILES
from embedders.sentence.source import file_sha256

# where a part was found, and how it was first filled: neither changes a row
UNTOLD = frozenset(
    {"hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "timm_model_pretrained"}
)
# fields of a text tower's own configuration that tell how its file was made
IGNORED = frozenset({"_name_or_path", "transformers_version", "torch_dtype", "dtype"})


def revision_of(files: ClipFiles) -> str:
    """SHA-256 over the contents of all weights."""
    return _digest([file_sha256(files.weights), *files.verified])


def space_parts_of(
    files: ClipFiles, preprocess_cfg: Mapping[str, Any], context: int, fast_jpeg: bool
) -> Mapping[str, str]:
    """Architecture, tokenizer, truncation and preprocessing, as short strings.

    Args:
        preprocess_cfg: complete, as the model uses it.
    """
    parts = {
        "architecture": _digest([_canonical(_told(files.model_cfg)), *_text_tower(files)]),
        "tokenizer": _digest(_tokenizer(files)),
        "max_tokens": str(context),
        "preprocessing": _canonical(preprocess_cfg),
    }
    return parts | ({"jpeg": "fast"} if fast_jpeg else {})


def _told(model_cfg: Mapping[str, Any]) -> dict[str, Any]:
    towers = {
        name: {key: value for key, value in model_cfg[name].items() if key not in UNTOLD}
        for name in ("vision_cfg", "text_cfg")
    }
    return {**model_cfg, **towers}


def _text_tower(files: ClipFiles) -> list[str]:
    if files.text_tower is None:
        return []
    content = json.loads((files.text_tower / "config.json").read_text(encoding="utf-8"))
    return [_canonical({name: v for name, v in content.items() if name not in IGNORED})]


def _tokenizer(files: ClipFiles) -> list[str]:
    if files.tokenizer is None:
        return ["clip"]
    found = [files.tokenizer / name for name in TOKENIZER_FILES]
    return [f"{path.name}:{file_sha256(path)}" for path in found if path.is_file()]


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
