"""Whether a folder holds the packaged model, saved anew.

`SentenceTransformer.save_pretrained` writes other files than it read: the weights lose a constant,
JSON gains defaults, modules have other names, the tokenizer's file is laid out anew. The vectors
are bitwise the same, and so the space has to be. Both models are loaded and compared as they are in
memory, where wrapping has no part.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from sentence_transformers import SentenceTransformer

from embedders.errors import MissingExtraError, ModelFormatError
from embedders.quiet import quiet_loading
from embedders.sentence.options import SentenceOptions
from embedders.sentence.source import MINILM, model_folder, weight_files

# fields of a configuration that change no vector: how the files came to be, and what trains
IGNORED = frozenset(
    {"_name_or_path", "architectures", "dtype", "gradient_checkpointing", "initializer_range",
     "torch_dtype", "transformers_version", "use_cache"}
)  # fmt: skip
# of a tokenizer: the model's own limit and padding take their place
REPLACED = frozenset({"padding", "truncation", "version"})
# of a module: part of the space by itself
LIMIT = "max_seq_length"


def identity_folder(folder: Path) -> Path:
    """The folder whose files name the space of a model: the packaged one's where it is the same.

    Every model keeps the space that it has by its own files, but for copies of the packaged model.
    """
    try:
        packaged = model_folder(MINILM, SentenceOptions())
    except (MissingExtraError, ModelFormatError):
        return folder
    if folder.resolve() == packaged.resolve() or _shapes(folder) != _shapes(packaged):
        return folder
    with quiet_loading():
        return packaged if _same(_load(folder), _load(packaged)) else folder


def _shapes(folder: Path) -> list[tuple[Any, ...]]:
    """Shapes and formats of all weights, without reading them; constants of positions left out."""
    shapes = []
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="np") as file:
                slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
                shapes += [(part.get_dtype(), *part.get_shape()) for part in slices]
        except SafetensorError:
            return []
    return sorted(shape for shape in shapes if shape[0] not in ("I64", "I32"))


def _load(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(
        str(folder),
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )


def _same(left: SentenceTransformer, right: SentenceTransformer) -> bool:
    return _settings(left) == _settings(right) and _same_weights(left, right)


def _same_weights(left: SentenceTransformer, right: SentenceTransformer) -> bool:
    mine, other = dict(left.named_parameters()), dict(right.named_parameters())
    return mine.keys() == other.keys() and all(
        torch.equal(mine[name], other[name]) for name in mine
    )


def _settings(model: SentenceTransformer) -> list[Any]:
    """All but the weights that changes a vector, as plain values."""
    first: Any = model[0]
    tokenizer = first.processor
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return [
        [_module(module) for module in model.children()],
        _without(first.model.config.to_dict(), IGNORED),
        _without(content, REPLACED),
        [tokenizer.pad_token_id, tokenizer.padding_side, tokenizer.truncation_side],
        list(tokenizer.model_input_names),
        getattr(first, "do_lower_case", False),
    ]


def _module(module: Any) -> tuple[str, dict[str, Any]]:
    return type(module).__name__, _without(module.get_config_dict(), frozenset({LIMIT}))


def _without(content: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}
