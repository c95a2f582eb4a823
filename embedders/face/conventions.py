"""How images that are cropped faces already were cut, and how they become a model's own crops."""

from collections.abc import Mapping
from enum import StrEnum

import cv2
import numpy as np

from embedders.errors import NoFaceError
from embedders.face.detecting.base import Detector
from embedders.face.geometry import (
    ARCFACE_EYES,
    DLIB_EYES,
    LFWCROP_EYES,
    Eyes,
    Picture,
    align,
    centre_square,
)


class CropConvention(StrEnum):
    """How the crops that callers send were cut.

    AUTO: MODEL for the networks of our own trainer, DETECT for all others. MODEL: as the model's
    own training crops. LFWCROP, ARCFACE, DLIB: as these cut them, the eyes at known places.
    DETECT: anyhow; the face is looked for again in each crop.
    """

    AUTO = "auto"
    MODEL = "model"
    LFWCROP = "lfwcrop"
    ARCFACE = "arcface"
    DLIB = "dlib"
    DETECT = "detect"


#: where the eyes are, as shares of the side
CONVENTION_EYES: Mapping[CropConvention, Eyes] = {
    CropConvention.LFWCROP: LFWCROP_EYES,
    CropConvention.ARCFACE: ARCFACE_EYES,
    CropConvention.DLIB: DLIB_EYES,
}
# border added about a crop, as a share of its side: detectors want to see more than the face. Its
# edge is repeated, and mirrored where no face is seen so: each shows faces that the other does not.
BORDER = 0.5
BORDERS = (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT)
# pixels of a side that crops are scaled to, if they have fewer or more, before a face is looked for
LEAST_SIDE, MOST_SIDE = 96, 160


class CropAligner:
    """Brings crops of a convention to a model's eye positions; safe in many threads.

    Args:
        eyes: where the model wants them, as shares of the side.
        size: pixels of a side that the model reads.
    """

    def __init__(
        self, convention: CropConvention, detector: Detector, eyes: Eyes, size: int
    ) -> None:
        self._convention, self._detector = convention, detector
        self._eyes, self._size = eyes, size

    def __call__(self, picture: Picture) -> Picture:
        """The model's crop, RGB uint8 (size, size, 3), of a crop of any size.

        Raises:
            NoFaceError: the convention is "detect", and no face is seen in the crop.
        """
        square = centre_square(picture, min(picture.shape[:2]))
        match self._convention:
            case CropConvention.DETECT:
                return self._detected(square)
            case CropConvention.MODEL:
                return centre_square(square, self._size)
            case named:
                return self._warped(square, CONVENTION_EYES[named])

    def _warped(self, square: Picture, eyes: Eyes) -> Picture:
        placed = eyes.placed(0, 0, len(square))
        return align(square, placed, self._eyes, self._size)

    def _detected(self, square: Picture) -> Picture:
        side = min(max(len(square), LEAST_SIDE), MOST_SIDE)
        scaled, border = centre_square(square, side), round(BORDER * side)
        for kind in BORDERS:
            padded = cv2.copyMakeBorder(scaled, border, border, border, border, kind)
            scale = len(square) / side
            for face in self._detector.detect(np.asarray(padded, np.uint8)):
                eyes = face.eyes.placed(-border * scale, -border * scale, scale)
                if _inside(eyes, len(square)):
                    return align(square, eyes, self._eyes, self._size)
        raise NoFaceError(
            "the crop cannot be aligned: no face is seen in it; say how such crops were cut by "
            f"the model's option crops (model, {', '.join(CONVENTION_EYES)}), or send the "
            "whole photo"
        )


def _inside(eyes: Eyes, side: int) -> bool:
    """Whether the crop itself holds both eyes: the border may seem to be a face, too."""
    return all(0 <= value < side for value in (*eyes.left, *eyes.right))
