"""Photos to the faces in them, each a vector: detect, align, embed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from embedders.base import (
    ComputeDtype,
    Encoded,
    EncodeOptions,
    Encoder,
    Item,
    Limits,
    Modality,
    ModelInfo,
    Prepared,
    Region,
)
from embedders.errors import InvalidItemError, NoFaceError, OptionError
from embedders.face.conventions import CropConvention
from embedders.face.cropping import Cropper, Crops
from embedders.face.detecting.choosing import detector_of
from embedders.face.embedding.base import EmbedderInfo, FaceEmbedder, Threshold
from embedders.face.embedding.choosing import embedder_of
from embedders.face.options import FaceOptions, SameAt
from embedders.images import decode, patch_cost
from embedders.options import read_options

# what of the preparation changes the vector of a cropped face
ALIGNMENT = "two-eyes-1"


class FaceEncoder(Encoder):
    """A face embedder behind the encoder contract.

    An image gives a row for each of its faces, the largest first, each with its region; one
    without a face is a `NoFaceError`. With the option `cropped` the image is one face already:
    its middle square gives one row, aligned as the model's option `crops` says.

    Detector and `crops` are no part of the space: they decide which faces are seen and how well
    they are cut out, and not what the numbers mean.
    """

    options_type: ClassVar[type[Any]] = FaceOptions

    def __init__(self, model_id: str, embedder: FaceEmbedder, options: FaceOptions) -> None:
        self._embedder, self._options = embedder, options
        known = embedder.info
        threshold = _threshold(known.thresholds, options.same_at)
        # photos are prepared side by side: threads of OpenCV's own would fight over the cores
        cv2.setNumThreads(1)
        detector = detector_of(options.detector, options.min_face)
        self._cropper = Cropper(
            detector,
            known.eyes,
            known.size,
            options.min_quality,
            options.max_faces,
            _convention(options.crops, known),
        )
        self.info = ModelInfo(
            id=model_id,
            family="face",
            modalities=frozenset({Modality.IMAGE}),
            dim=known.dim,
            revision=known.revision,
            normalized=known.normalized,
            limits=Limits(
                max_image_bytes=options.max_image_bytes,
                max_image_pixels=options.max_image_pixels,
            ),
            space_parts={**known.parts, "alignment": ALIGNMENT, "eyes": str(known.eyes)},
            memory_bytes=known.memory_bytes,
            same_threshold=None if threshold is None else threshold.score,
            false_accept_rate=None if threshold is None else threshold.false_accept_rate,
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> "FaceEncoder":
        """A model by "face-mini", "dlib", a safetensors file, or the YAML of an ONNX file.

        Raises:
            ModelFormatError, OptionError, MissingExtraError
        """
        read = read_options(FaceOptions, options, f"model {model_id!r}")
        return cls(model_id, embedder_of(source), read)

    def check_options(self, options: EncodeOptions) -> None:
        """Refuses options that do not fit; these models compute in float32 alone.

        Raises:
            OptionError
        """
        super().check_options(options)
        if options.compute_dtype not in (None, ComputeDtype.FLOAT32):
            raise OptionError("compute_dtype", "face models compute in float32 only")

    def warm_up(self) -> None:
        """One forward pass of the network: in the made-up image no face would be found."""
        size = self._embedder.info.size
        self._embedder.embed([np.full((size, size, 3), 128, np.uint8)])

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Decodes an image and cuts its faces out.

        Raises:
            NoFaceError: none is seen.
            InvalidItemError: not an image, or damaged.
            ItemTooLargeError: over a limit.
        """
        if not isinstance(item.value, bytes):
            raise InvalidItemError("an image is the bytes of a file")
        picture = np.asarray(decode(item.value, self._options.image_limits))
        crops = self._cropper.whole(picture) if options.cropped else self._cropper.cut(picture)
        if not crops.pictures:
            raise NoFaceError(
                "no face was found; an image that is a cropped face needs the option cropped"
            )
        size = self._embedder.info.size
        return Prepared(crops, item.modality, len(crops.pictures) * patch_cost(size, size))

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        found: list[Crops] = [prepared.data for prepared in batch]
        rows = self._embedder.embed([crop for crops in found for crop in crops.pictures])
        counts = [len(crops.pictures) for crops in found]
        index = np.repeat(np.arange(len(batch), dtype=np.intp), counts)
        regions: list[Region] = [region for crops in found for region in crops.regions]
        return Encoded(rows, index, None if options.cropped else regions)


def _convention(crops: CropConvention, known: EmbedderInfo) -> CropConvention:
    if crops is not CropConvention.AUTO:
        return crops
    return CropConvention.MODEL if known.trained_here else CropConvention.DETECT


def _threshold(thresholds: Mapping[str, Threshold], same_at: SameAt) -> Threshold | None:
    if thresholds and same_at not in thresholds:
        known = ", ".join(sorted(thresholds))
        raise OptionError("same_at", f"the model has no threshold {same_at}; it has: {known}")
    return thresholds.get(same_at)
