"""What a sentence model's space is made of, by its files alone, so that restarts agree."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from embedders.sentence.source import file_sha256, module_folders, read_json, weight_files

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
# fields that tell how a file was made and change no vector
IGNORED_FIELDS = frozenset({"_name_or_path", "transformers_version", "torch_dtype", "dtype"})


def revision_of(folder: Path) -> str:
    """SHA-256 over the names and contents of the weight files."""
    root = folder.resolve()
    return _digest(f"{p.relative_to(root)}:{file_sha256(p)}" for p in weight_files(folder))


def space_parts_of(folder: Path, max_tokens: int) -> Mapping[str, str]:
    """Modules, their configuration, tokenizer and truncation, as short strings."""
    return {
        "architecture": _digest(_configurations(folder)),
        "tokenizer": _digest(_tokenizer(folder)),
        "max_tokens": str(max_tokens),
    }


def _configurations(folder: Path) -> Iterable[str]:
    listing = folder / "modules.json"
    if listing.is_file():
        # class names alone: their packages moved between releases of sentence-transformers
        yield "|".join(module["type"].rpartition(".")[2] for module in read_json(listing))
    for part in module_folders(folder):
        for name in ("config.json", "sentence_bert_config.json"):
            if (part / name).is_file():
                yield _canonical(part / name)


def _tokenizer(folder: Path) -> Iterable[str]:
    part = module_folders(folder)[0]
    for name in TOKENIZER_FILES:
        if (part / name).is_file():
            yield f"{name}:{file_sha256(part / name)}"


def _canonical(path: Path) -> str:
    content = read_json(path)
    if isinstance(content, dict):
        content = {name: v for name, v in content.items() if name not in IGNORED_FIELDS}
    return json.dumps(content, sort_keys=True)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
