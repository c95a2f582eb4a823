"""What a user may set of a CLIP model."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.images import DEFAULT_LIMITS, MOST_PIXELS, ImageLimits
from embedders.options import STRICT


class DtypeChoice(StrEnum):
    """Compute format of a model; AUTO is bfloat16 where the device has it and rows agree."""

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """Options of a CLIP model.

    Args:
        device: "auto" (cuda where there is one), "cpu", "cuda", "cuda:1".
        dtype: compute format where the call does not say.
        architecture: open_clip's name for it ("ViT-B-32"), for a checkpoint file that has no
            open_clip_config.json beside it.
        revision: branch, tag or commit of a hub model.
        local_files_only: never reach for the hub: only what is in its cache.
        max_image_bytes: of an encoded image.
        max_image_pixels: width times height.
        max_characters: longer texts are refused before they cost tokenising.
        fast_jpeg: JPEGs much larger than the model's picture are decoded at a half, quarter or
            eighth of their size; rows then differ slightly from open_clip's, so it is a space
            of its own.
    """

    __pydantic_config__: ClassVar = STRICT

    device: str = "auto"
    dtype: DtypeChoice = DtypeChoice.FLOAT32
    architecture: str = ""
    revision: str | None = None
    local_files_only: bool = False
    max_image_bytes: Annotated[int, Field(ge=1)] = DEFAULT_LIMITS.max_bytes
    max_image_pixels: Annotated[int, Field(ge=1, le=MOST_PIXELS)] = DEFAULT_LIMITS.max_pixels
    max_characters: Annotated[int, Field(ge=1)] = 100_000
    fast_jpeg: bool = False

    @property
    def image_limits(self) -> ImageLimits:
        """Limits of an image."""
        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
