"""What a user may set of a sentence model."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.options import STRICT


class DtypeChoice(StrEnum):
    """Compute format of a model; AUTO is bfloat16 where the device has it and rows agree."""

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class Backend(StrEnum):
    """What runs the transformer; the others than TORCH compute on the CPU."""

    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True)
class SentenceOptions:
    """Options of a sentence model.

    Args:
        device: "auto" (cuda where there is one), "cpu", "cuda", "cuda:1".
        dtype: compute format where the call does not say.
        backend: what runs the transformer: "torch", "onnx" or "openvino".
        revision: branch, tag or commit of a hub model.
        local_files_only: never reach for the hub: only what is in its cache.
        prompts: role to prompt, over those of the model's own table.
        max_tokens: truncate here instead of at the model's own limit (0: the model's).
        max_characters: longer texts are refused before they cost tokenising.
    """

    __pydantic_config__: ClassVar = STRICT

    device: str = "auto"
    dtype: DtypeChoice = DtypeChoice.FLOAT32
    backend: Backend = Backend.TORCH
    revision: str | None = None
    local_files_only: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    max_tokens: Annotated[int, Field(ge=0)] = 0
    max_characters: Annotated[int, Field(ge=1)] = 1_000_000
