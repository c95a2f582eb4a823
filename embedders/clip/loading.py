"""From files to an open_clip model with its weights, by open_clip's own code."""

import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
import torch
from open_clip.factory import load_checkpoint
from safetensors import SafetensorError

from embedders.clip.files import CONFIG_FILE, ClipFiles
from embedders.clip.image_tower import ARCHITECTURE, image_tower_weights
from embedders.clip.trimming import may_trim, trim
from embedders.errors import ModelFormatError
from embedders.quiet import quiet_loading

# where open_clip keeps the towers that packages bring
TEXT_PREFIX, IMAGE_PREFIX = "text.transformer.", "visual.trunk."
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    ImportError,
    StopIteration,
    SafetensorError,
)


def load_model(files: ClipFiles) -> torch.nn.Module:
    """The model in float32 on the CPU, ready for inference.

    Raises:
        ModelFormatError: its description or its weights are damaged, do not fit each other, or
            are a pickle that could run code.
    """
    if files.weights.suffix != ".safetensors":
        _refuse_code(files.weights)
    try:
        with quiet_loading(), _quiet():
            model = _construct(files)
            _fill(model, files)
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ModelFormatError(f"{files.weights}: cannot be loaded: {reason}") from error
    trim(model)
    return model.eval().requires_grad_(False)


def _construct(files: ClipFiles) -> torch.nn.Module:
    """The architecture, its weights random but for a frozen text tower."""
    model_cfg = deepcopy(dict(files.model_cfg))
    if files.text_tower is not None:
        model_cfg["text_cfg"]["hf_model_name"] = str(files.text_tower)
    if files.image_tower is not None:
        model_cfg["vision_cfg"]["timm_model_name"] = ARCHITECTURE
    config = {"model_cfg": model_cfg, "preprocess_cfg": dict(files.preprocess_cfg)}
    # open_clip takes a description from a folder only
    with TemporaryDirectory() as folder:
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
        model: torch.nn.Module = open_clip.create_model(
            f"local-dir:{folder}",
            load_weights=False,
            # as a module of its own, a text tower can be cut to the length of a batch
            force_custom_text=may_trim(files.text_cfg),
            pretrained_text=files.frozen_text,
        )
    return model


def _fill(model: torch.nn.Module, files: ClipFiles) -> None:
    frozen = [TEXT_PREFIX] if files.frozen_text else []
    if files.image_tower is not None:
        weights = image_tower_weights(files.image_tower)
        model.get_submodule(IMAGE_PREFIX.rstrip(".")).load_state_dict(weights)
        frozen.append(IMAGE_PREFIX)
    missing = load_checkpoint(model, str(files.weights), strict=not frozen, weights_only=True)
    if not frozen:
        return
    absent = [name for name in missing.missing_keys if not name.startswith(tuple(frozen))]
    strange = [*absent, *missing.unexpected_keys]
    if strange:
        raise ValueError(f"weights missing or not of this model: {', '.join(strange[:5])}")


def _refuse_code(path: Path) -> None:
    """Reads a pickle with torch's restricted reader, which builds nothing but tensors.

    Raises:
        ModelFormatError: it holds anything else, or is damaged.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFormatError(
            f"{path}: it holds more than weights, and a pickle can run code: refused; convert it"
            " where you trust it: safetensors.torch.save_file(model.state_dict(), path)"
        ) from None
    except (*DAMAGE, EOFError) as error:
        raise ModelFormatError(f"{path}: damaged: {str(error)[:500]}") from error
    if not isinstance(content, dict) or not content:
        raise ModelFormatError(f"{path}: a state dict expected")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warnings that no weights were loaded: they are, a moment later."""
    root, others = logging.getLogger(), lambda record: record.module != "factory"
    root.addFilter(others)
    try:
        yield
    finally:
        root.removeFilter(others)
