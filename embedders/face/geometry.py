"""Where a face is, and how it is cut out upright.

Alignment is one similarity (turn, scale, shift) that brings the two eyes to where an embedder
wants them. Where no eyes were found, they are taken to be where they usually are in the
detector's frame: the same formula then cuts a plain square, without a turn.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from embedders.base import Region

Picture = NDArray[np.uint8]

# a shrinking beyond this skips pixels of the photo; whole blocks are averaged before it
SHRINK = 2


@dataclass(frozen=True, slots=True)
class Eyes:
    """Centres of the two eyes, the left one in the picture first; x rightwards, y downwards."""

    left: tuple[float, float]
    right: tuple[float, float]

    def placed(self, x: float, y: float, scale: float) -> "Eyes":
        """Scaled, then moved by (x, y)."""
        return Eyes(
            (x + self.left[0] * scale, y + self.left[1] * scale),
            (x + self.right[0] * scale, y + self.right[1] * scale),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A square about a face, as the detector of Viola and Jones (2001) draws it.

    It holds the face from above the brows to the chin, and the ears. Other detectors' boxes are
    turned into it.
    """

    x: float
    y: float
    side: float


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture: its region, and its eyes, found or supposed."""

    region: Region
    eyes: Eyes
    eyes_found: bool = False


# LFW is made of Viola-Jones frames widened 2.2 times to 250 pixels (Huang and others, 2007), so
# the frame is 68..182; LFWcrop cuts (83, 92)..(167, 176) from it (Sanderson and Lovell, 2009). In
# the mean of its crops the eyes are at LFWCROP_EYES of a side, and so at FRAME_EYES of the frame.
LFWCROP_EYES = Eyes((0.267, 0.225), (0.733, 0.225))
FRAME_EYES = Eyes((0.327, 0.376), (0.673, 0.376))
# of the 112-pixel template that ArcFace and its kin were trained on (InsightFace)
ARCFACE_EYES = Eyes((0.3419, 0.4616), (0.6565, 0.4598))
# of dlib's 150-pixel chips with a padding of 0.25: middles of the corners of its five-point shape
DLIB_EYES = Eyes((0.3182, 0.3143), (0.6685, 0.3142))


def supposed_eyes(frame: Frame) -> Eyes:
    """Where the eyes usually are in a frame."""
    return FRAME_EYES.placed(frame.x, frame.y, frame.side)


def align(picture: Picture, eyes: Eyes, template: Eyes, size: int) -> Picture:
    """The face cut out upright.

    Args:
        picture: RGB uint8 (height, width, 3).
        eyes: in pixels of the picture.
        template: where they shall be, as shares of the side.
        size: pixels of a side.

    Returns:
        RGB uint8 (size, size, 3); what lies outside the picture repeats its edge.
    """
    matrix = similarity(eyes, template.placed(0, 0, size))
    shrink = int(1 / np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink >= SHRINK:
        picture, matrix = _shrunk(picture, matrix, shrink)
    # cv2 counts from the middle of a pixel, the shares here from its corner
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    cut = cv2.warpAffine(
        picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, dtype=np.uint8)


def similarity(source: Eyes, target: Eyes) -> NDArray[np.float64]:
    """Float64 (2, 3) of the turn, scale and shift that takes two points to two points.

    As complex numbers: target = a * source + b, with a the ratio of the differences.
    """
    (s0, s1), (t0, t1) = ((complex(*eyes.left), complex(*eyes.right)) for eyes in (source, target))
    a = (t1 - t0) / (s1 - s0)
    b = t0 - a * s0
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def centre_square(picture: Picture, size: int) -> Picture:
    """The middle square of an already cropped face, scaled; RGB uint8 (size, size, 3)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = picture[top : top + side, left : left + side]
    if side == size:
        return middle
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(middle, (size, size), interpolation=how), dtype=np.uint8)


def _shrunk(
    picture: Picture, matrix: NDArray[np.float64], factor: int
) -> tuple[Picture, NDArray[np.float64]]:
    """The picture with blocks of factor x factor pixels averaged, and the matrix for it."""
    height, width = picture.shape[:2]
    small = (max(1, width // factor), max(1, height // factor))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    matrix = matrix.copy()
    matrix[:, 0] *= width / small[0]
    matrix[:, 1] *= height / small[1]
    return np.asarray(shrunk, dtype=np.uint8), matrix
