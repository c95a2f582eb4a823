"""The file of a face model of ours: safetensors with float16 weights and what is known of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from embedders.errors import ModelFormatError, OptionError
from embedders.face.embedding.base import Threshold
from embedders.face.network import FaceNetwork, NetworkShape
from embedders.options import read_options

FORMAT, VERSION = "latentspace-face", "1"


@dataclass(frozen=True, slots=True)
class FaceWeights:
    """A network ready to embed, the SHA-256 of its file, and what the file says of itself.

    Args:
        thresholds: of "same person" by name ("best", "far_1e-2", ...).
    """

    network: FaceNetwork
    revision: str
    metadata: Mapping[str, str]
    thresholds: Mapping[str, Threshold]


def round_weights(network: FaceNetwork) -> None:
    """Makes all weights what a float16 file holds of them."""
    for tensor in network.state_dict().values():
        tensor.copy_(tensor.to(torch.float16))


def save_weights(path: Path, network: FaceNetwork, metadata: Mapping[str, str]) -> None:
    """Writes the weights as float16, whole or not at all."""
    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
    }
    known = {
        "format": FORMAT,
        "version": VERSION,
        "family": "face",
        "network": json.dumps(asdict(network.shape), sort_keys=True),
    }
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, part, {**metadata, **known})
    part.chmod(0o644)  # save_file leaves it readable by its owner alone
    part.replace(path)


def load_weights(path: Path) -> FaceWeights:
    """The network in evaluation mode, float32.

    Raises:
        ModelFormatError: damaged, or not a file of this format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFormatError(f"{path}: not a safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ModelFormatError(f"{path}: not a face model: its metadata lack format={FORMAT}")
    network = _build(path, metadata, tensors)
    revision = hashlib.sha256(path.read_bytes()).hexdigest()
    return FaceWeights(network, revision, metadata, _thresholds(path, metadata))


def _thresholds(path: Path, metadata: Mapping[str, str]) -> dict[str, Threshold]:
    try:
        points = json.loads(metadata.get("thresholds", "{}"))
        return {
            name: Threshold(float(point["threshold"]), float(point["far"]))
            for name, point in points.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFormatError(f"{path}: its thresholds are damaged: {error}") from error


def _build(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Any]) -> FaceNetwork:
    try:
        shape = read_options(NetworkShape, json.loads(metadata["network"]), str(path))
        network = FaceNetwork(shape)
        missing, unexpected = network.load_state_dict(dict(tensors), strict=False)
    except (KeyError, ValueError, OptionError, RuntimeError) as error:
        raise ModelFormatError(f"{path}: weights do not fit their description: {error}") from error
    if missing or unexpected:
        raise ModelFormatError(
            f"{path}: weights missing {missing[:3]} or too many {unexpected[:3]}"
        )
    return network.eval()
