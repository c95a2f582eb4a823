"""Which device computes, and what it can."""

import torch

from embedders.errors import OptionError


def pick_device(wanted: str) -> str:
    """A torch device by name; "auto" is cuda where there is one.

    Raises:
        OptionError: no device of that name, or none here.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(wanted).type
    except RuntimeError:
        raise OptionError("device", f"{wanted!r} is no device; 'auto', 'cpu', 'cuda:0'") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise OptionError("device", f"{wanted!r}: there is no CUDA device here; use 'auto'")
    return wanted


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
