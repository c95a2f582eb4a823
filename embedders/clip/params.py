"""Parameters of CLIP training."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.options import STRICT, NamesFile

Side = Annotated[int, Field(ge=32, le=512)]


@dataclass(frozen=True, slots=True)
class ClipParams:
    """Parameters of a contrastive training; the text tower is the packaged MiniLM, frozen.

    Args:
        start: the model whose image tower learns on: "clip-mini", or the path of one trained
            here; "" starts from random weights, which needs many thousand images.
        architecture: timm's name of the image tower, where `start` is "".
        dim: numbers of an embedding, where `start` is "".
        image_size: pixels of a side of the square picture that the trained model reads; 0 is
            the start's own, or 128.
        sizes: pixels of a side while training, each for an equal share of it, in this order.
            Crops show things larger than whole pictures do, so these may be smaller.
        epochs: passes over the images.
        minutes: end by then, if the epochs have not: the schedule follows the clock, and so the
            result depends on the machine's speed (0: no such end).
        batch: images a step; each is told from the other captions of its batch.
        learning_rate: at its highest, it falls along a cosine; 0 is 2e-4 with a start and
            1.5e-3 without.
        weight_decay: of AdamW.
        average: the model kept is a running mean of the weights with this decay a step.
        cutmix: share of the batches in which a box of each picture is another's (Yun 2019).
        smallest_crop: smallest share of the picture's area that a view keeps.
        colour: largest relative change of brightness, contrast and saturation.
        stored_size: pixels of a side at which the images are held in memory, 3 bytes a pixel.
        holdout: share of the images kept out for the figures.
        device: "auto" (cuda where there is one), "cpu", "cuda", "cuda:1".
        bfloat16: compute so where the device knows how.
        seed: of all random numbers.
        threads: of the arithmetic on a CPU.
    """

    __pydantic_config__: ClassVar = STRICT

    start: Annotated[str, NamesFile(builtin=("", "clip-mini", "clip-lite"))] = "clip-mini"
    architecture: str = "regnetx_004"
    dim: Annotated[int, Field(ge=8, le=4096)] = 384
    image_size: Annotated[int, Field(ge=0, le=512)] = 0
    sizes: Annotated[tuple[Side, ...], Field(min_length=1)] = (80, 96)
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    minutes: Annotated[float, Field(ge=0)] = 0.0
    batch: Annotated[int, Field(ge=2, le=65_536)] = 64
    learning_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.05
    average: Annotated[float, Field(ge=0, lt=1)] = 0.995
    cutmix: Annotated[float, Field(ge=0, le=1)] = 0.5
    smallest_crop: Annotated[float, Field(gt=0, le=1)] = 0.35
    colour: Annotated[float, Field(ge=0, le=1)] = 0.25
    stored_size: Side = 160
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    device: str = "auto"
    bfloat16: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1

    @property
    def rate(self) -> float:
        """`learning_rate`, or what suits the start."""
        return self.learning_rate or (2e-4 if self.start else 1.5e-3)
