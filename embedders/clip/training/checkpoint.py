"""The state of a training on disk, as safetensors, so that a call cut off goes on."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from embedders.errors import ModelFormatError


def save_state(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    numbers: dict[str, float],
) -> None:
    """Writes the modules' tensors, the optimiser's and some numbers; never half a file."""
    tensors = {
        f"{name}.{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for place, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{place}.{key}": value for key, value in state.items()})
    part = path.with_suffix(".part")
    # copies: tensors that share memory are refused
    kept = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    save_file(kept, part, {name: repr(value) for name, value in numbers.items()})
    part.replace(path)


def load_state(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """Fills modules and optimiser from a file of `save_state`; gives its numbers.

    Raises:
        ModelFormatError: it is of another training.
    """
    with safe_open(path, framework="pt") as file:
        # a SafeTensors file has keys(), and is itself no mapping
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        numbers = {name: float(value) for name, value in file.metadata().items()}
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, name))
    except RuntimeError as error:
        raise ModelFormatError(f"{path}: of another training; remove it: {error}") from error
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer").items():
        place, _, key = name.partition(".")
        states.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    return numbers


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {n.removeprefix(start): v for n, v in tensors.items() if n.startswith(start)}
