"""How a photo of the training folder becomes a cropped face."""

import numpy as np
from numpy.typing import NDArray

from embedders.errors import NoFaceError
from embedders.face.cropping import Cropper
from embedders.face.detecting.choosing import BUNDLED, detector_of
from embedders.face.geometry import LFWCROP_EYES, centre_square
from embedders.face.params import FaceParams
from embedders.face.people import Crop
from embedders.images import decode

MIN_FACE = 24


def crop_for(params: FaceParams) -> Crop:
    """The cropping that the parameters ask for."""
    size = params.image_size
    if not params.detect:
        return lambda data: centre_square(np.asarray(decode(data)), size)
    cropper = Cropper(detector_of(BUNDLED, MIN_FACE), LFWCROP_EYES, size, max_faces=1)

    def largest(data: bytes) -> NDArray[np.uint8]:
        crops = cropper.cut(np.asarray(decode(data)))
        if not crops.pictures:
            raise NoFaceError("no face was found")
        return crops.pictures[0]

    return largest
