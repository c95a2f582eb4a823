"""Parameters of training on faces."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.face.network import ImageSize
from embedders.options import STRICT


class Mining(StrEnum):
    """Which triplets of a batch are learnt from, D being the squared distance.

    SEMI_HARD: D(a, p) < D(a, n) < D(a, p) + margin, FaceNet's choice. HARD: D(a, n) < D(a, p).
    BATCH_HARD: for each anchor its farthest positive and nearest negative (Hermans 2017).
    ALL: every triplet that breaks the margin.
    """

    SEMI_HARD = "semi-hard"
    HARD = "hard"
    BATCH_HARD = "batch-hard"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class FaceParams:
    """Parameters; the defaults are those of the shipped model.

    Args:
        epochs: passes over all people of two photos and more.
        people: P of a batch.
        photos: K of a batch; of a person with fewer all, and strangers (people of a single
            photo: never anchors, always negatives) fill the places left.
        mining: which triplets count.
        margin: between squared distances of unit vectors, which are 0 to 4.
        learning_rate: at the start; it falls along a cosine.
        weight_decay: of AdamW.
        variants: copies of each photo: as it is, mirrored, and the rest varied at random.
        components: principal components kept of the edge histograms.
        hidden: units of the learnt branch.
        dim: numbers of an embedding.
        dropout: share of the numbers dropped before each learnt layer.
        image_size: pixels of a side of the square input.
        holdout: share of the people kept out: half for the threshold, half for the figures.
        detect: look for the largest face of each photo; without, the photos are cropped faces.
        seed: of all random numbers.
        threads: of the arithmetic.
    """

    __pydantic_config__: ClassVar = STRICT

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 35
    people: Annotated[int, Field(ge=2, le=4096)] = 48
    photos: Annotated[int, Field(ge=2, le=256)] = 4
    mining: Mining = Mining.SEMI_HARD
    margin: Annotated[float, Field(gt=0, le=4)] = 0.3
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.05
    variants: Annotated[int, Field(ge=1, le=256)] = 2
    components: Annotated[int, Field(ge=1, le=4096)] = 400
    hidden: Annotated[int, Field(ge=1, le=8192)] = 512
    dim: Annotated[int, Field(ge=2, le=1024)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    image_size: ImageSize = 64
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    detect: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
