"""What a CLIP model is made of, wherever its files came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedders.errors import ModelFormatError
from embedders.sentence.source import read_json

CONFIG_FILE = "open_clip_config.json"


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """The files of a model.

    Args:
        model_cfg: open_clip's description of both towers.
        preprocess_cfg: what differs from open_clip's default preprocessing.
        weights: the checkpoint.
        tokenizer: folder of a Hugging Face tokenizer; None for CLIP's own.
        text_tower: folder of a Hugging Face text tower's configuration.
        frozen_text: the text tower's weights come from `text_tower`, not from the checkpoint.
        image_tower: file of the packaged image tower; None where the checkpoint holds it.
    """

    model_cfg: Mapping[str, Any]
    preprocess_cfg: Mapping[str, Any]
    weights: Path
    tokenizer: Path | None = None
    text_tower: Path | None = None
    frozen_text: bool = False
    image_tower: Path | None = None
    #: SHA-256 of what else the rows depend on
    verified: tuple[str, ...] = field(default=())

    @property
    def text_cfg(self) -> Mapping[str, Any]:
        """The text tower's part of `model_cfg`."""
        found: Mapping[str, Any] = self.model_cfg["text_cfg"]
        return found


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`model_cfg` and `preprocess_cfg` of an open_clip_config.json.

    Raises:
        ModelFormatError: missing, damaged, or without the parts that every model has.
    """
    if not path.is_file():
        raise ModelFormatError(
            f"there is no {path}; for a bare checkpoint name its architecture in the option"
            " 'architecture'"
        )
    content = read_json(path)
    model_cfg = content.get("model_cfg") if isinstance(content, dict) else None
    if not isinstance(model_cfg, dict):
        raise ModelFormatError(f"{path}: 'model_cfg' is missing")
    check_model_cfg(model_cfg, str(path))
    preprocess_cfg = content.get("preprocess_cfg") or {}
    if not isinstance(preprocess_cfg, dict):
        raise ModelFormatError(f"{path}: 'preprocess_cfg' is not an object")
    return model_cfg, preprocess_cfg


def check_model_cfg(model_cfg: Mapping[str, Any], where: str) -> None:
    """Refuses a description without a width or a tower.

    Raises:
        ModelFormatError
    """
    kinds = {"embed_dim": int, "vision_cfg": dict, "text_cfg": dict}
    for name, kind in kinds.items():
        if not isinstance(model_cfg.get(name), kind):
            raise ModelFormatError(f"{where}: 'model_cfg.{name}' is missing or not {kind.__name__}")
