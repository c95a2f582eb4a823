"""What a user may set of a face model."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.face.conventions import CropConvention
from embedders.face.detecting.choosing import BUNDLED
from embedders.images import DEFAULT_LIMITS, MOST_PIXELS, ImageLimits
from embedders.options import STRICT, NamesFile


class SameAt(StrEnum):
    """Which calibrated threshold tells "same person": of best accuracy, or of few false accepts.

    FAR_1 and FAR_01 let about 1 % and 0.1 % of pairs of two people pass.
    """

    BEST = "best"
    FAR_1 = "far_1e-2"
    FAR_01 = "far_1e-3"


@dataclass(frozen=True, slots=True)
class FaceOptions:
    """Options of a face model.

    Args:
        detector: "opencv" (its bundled cascade), or the path of an ONNX detector.
        min_face: pixels of the smallest face, from brows to chin.
        min_quality: detections of lower confidence are left out; its meaning is the detector's.
        max_faces: keep only so many of the largest faces of an image (0: all).
        crops: how images that are cropped faces already (the call's option cropped) were cut:
            "model", "lfwcrop", "arcface", "dlib" or "detect"; "auto" is "model" for models trained
            here, and "detect" for all others.
        same_at: which of the calibrated thresholds Compare uses.
        max_image_bytes: of an encoded image.
        max_image_pixels: width times height.
    """

    __pydantic_config__: ClassVar = STRICT

    detector: Annotated[str, NamesFile(builtin=(BUNDLED,))] = BUNDLED
    min_face: Annotated[int, Field(ge=1)] = 24
    min_quality: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_faces: Annotated[int, Field(ge=0)] = 0
    crops: CropConvention = CropConvention.AUTO
    same_at: SameAt = SameAt.BEST
    max_image_bytes: Annotated[int, Field(ge=1)] = DEFAULT_LIMITS.max_bytes
    max_image_pixels: Annotated[int, Field(ge=1, le=MOST_PIXELS)] = DEFAULT_LIMITS.max_pixels

    @property
    def image_limits(self) -> ImageLimits:
        """Limits of an image."""
        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
