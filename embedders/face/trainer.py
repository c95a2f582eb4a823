"""Training of face models with triplets (FaceNet, Schroff 2015)."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from embedders.errors import OptionError
from embedders.face.augment import augment
from embedders.face.calibration import Calibration, calibrate
from embedders.face.fitting import SAMPLE, fit_discriminant, fit_whitening
from embedders.face.losses import TripletObjective
from embedders.face.network import FaceNetwork, NetworkShape, scale_pixels
from embedders.face.params import FaceParams
from embedders.face.people import People, held_out, read_people
from embedders.face.reading import crop_for
from embedders.face.sampling import PeopleSampler
from embedders.face.weights import load_weights, round_weights, save_weights
from embedders.training import Progress, TrainingReport, note, silent

CHUNK = 128


def train_face(
    source: Path,
    out: Path,
    params: FaceParams | None = None,
    progress: Progress = silent,
) -> TrainingReport:
    """Trains a face network and writes it with its calibrated thresholds.

    Args:
        source: a folder with one folder of photos a person, or a .tar of the same.
        out: the safetensors file to write.
        progress: told the stages "read", "describe" (in photos) and "train" (in steps).

    Raises:
        OptionError: the folder cannot be read, or has too few people.
    """
    params = params or FaceParams()
    started = time.perf_counter()
    with _threads(params.threads):
        people = read_people(source, crop_for(params), progress)
        training = FaceTraining(people, params)
        training.describe(progress)
        training.run(progress)
        metrics = {"train_seconds": time.perf_counter() - started, "loss": training.loss}
        calibration = training.save(out, metrics)
    return TrainingReport(
        "face",
        out,
        len(training.train.names),
        params.dim,
        load_weights(out).revision,
        {**metrics, **calibration.metrics},
        (*_left_out(people), *calibration.warnings),
    )


class FaceTraining:
    """One training: its people, its network, and the described photos that it learns from."""

    def __init__(self, people: People, params: FaceParams) -> None:
        self.params, self.people, self.loss = params, people, 0.0
        parts = held_out(people.names, params.holdout)
        self.train, self.calibration, self.test = (people.part(parts == side) for side in range(3))
        self.sampler = PeopleSampler(self.train.labels, params.people, params.photos, params.seed)
        if self.sampler.known < 2:
            raise OptionError("source", "fewer than 2 people to train on have two photos each")
        torch.manual_seed(params.seed)
        self._random = torch.Generator().manual_seed(params.seed)
        # so many photos, with their mirror images, have no more components than that
        components = min(params.components, 2 * len(self.train.labels) - 1)
        shape = NetworkShape(params.image_size, components, params.hidden, params.dim)
        self.network = FaceNetwork(shape, params.dropout)
        self.labels = torch.from_numpy(self.train.labels)
        self.described = torch.empty(0)

    @torch.no_grad()
    def describe(self, progress: Progress) -> None:
        """Fits the whitening and the first linear layer; describes all variants of all photos."""
        images, count = self.train.images, self.params.variants
        sample = torch.randperm(len(images), generator=self._random)[: SAMPLE // 2].numpy()
        plain, mirrored = images[sample], images[sample, :, ::-1]
        seen = np.concatenate([plain, mirrored])
        edges = [self.network.edges(x) for x in _chunks(seen)]
        fit_whitening(self.network, torch.cat(edges))
        total = len(images) * count
        self.described = torch.empty(count, len(images), self.network.shape.components)
        for variant in range(count):
            for number, x in enumerate(_chunks(images)):
                low = number * CHUNK
                rows = self.network.describe(self._vary(x, variant))
                self.described[variant, low : low + len(x)] = rows
                progress("describe", variant * len(images) + low + len(x), total)
        first = self.described[:2].flatten(0, 1).numpy()
        fit_discriminant(self.network, first, self.labels.repeat(min(2, count)))

    def run(self, progress: Progress) -> None:
        """All epochs; `loss` is then the mean of the last."""
        steps = self.sampler.batches * self.params.epochs
        objective = TripletObjective(self.params.mining, self.params.margin)
        optimizer = torch.optim.AdamW(
            self.network.head.parameters(),
            lr=self.params.learning_rate,
            weight_decay=self.params.weight_decay,
        )
        schedule = CosineAnnealingLR(optimizer, steps)
        self.network.train()
        done = 0
        for _ in range(self.params.epochs):
            losses = []
            for positions in self.sampler.epoch():
                losses.append(self._step(torch.from_numpy(positions), objective, optimizer))
                schedule.step()
                done += 1
                note(progress, loss=losses[-1])
                progress("train", done, steps)
            self.loss = float(np.mean(losses))
        self.network.eval()

    def save(self, out: Path, metrics: dict[str, float]) -> Calibration:
        """Writes the network as it is now, calibrated as stored."""
        round_weights(self.network)
        calibration = calibrate(
            self.calibration.labels,
            embed_images(self.network, self.calibration.images),
            self.test.labels,
            embed_images(self.network, self.test.images),
        )
        metadata = {
            "params": json.dumps(asdict(self.params), sort_keys=True),
            "people": json.dumps(self._counts(), sort_keys=True),
            "data_sha256": self.people.sha256,
            "thresholds": json.dumps(calibration.thresholds(), sort_keys=True),
            "metrics": json.dumps({**metrics, **calibration.metrics}, sort_keys=True),
            "torch": torch.__version__,
            "pytorch_metric_learning": version("pytorch-metric-learning"),
        }
        save_weights(out, self.network, metadata)
        return calibration

    def _vary(self, x: Tensor, variant: int) -> Tensor:
        if variant == 0:
            return x
        return x.flip(3) if variant == 1 else augment(x, self._random)

    def _step(
        self, positions: Tensor, objective: TripletObjective, optimizer: torch.optim.Optimizer
    ) -> float:
        variants = torch.randint(len(self.described), (len(positions),), generator=self._random)
        rows = self.network.head(self.described[variants, positions])
        loss = objective(rows, self.labels[positions])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    def _counts(self) -> dict[str, int]:
        return {
            "train_people": len(self.train.names),
            "train_photos": len(self.train.labels),
            "train_people_of_two_photos": self.sampler.known,
            "calibration_people": len(self.calibration.names),
            "calibration_photos": len(self.calibration.labels),
            "test_people": len(self.test.names),
            "test_photos": len(self.test.labels),
        }


@torch.no_grad()
def embed_images(network: FaceNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit rows, float32 (n, dim), of cropped faces, uint8 (n, size, size, 3)."""
    rows = [network(x) for x in _chunks(images)]
    return torch.cat(rows).numpy() if rows else np.empty((0, network.shape.dim), np.float32)


def _chunks(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    for low in range(0, len(images), CHUNK):
        yield scale_pixels(torch.from_numpy(np.ascontiguousarray(images[low : low + CHUNK])))


def _left_out(people: People) -> Iterator[str]:
    if people.unreadable:
        count = len(people.unreadable)
        yield f"{count} photos were left out; the first: {people.unreadable[0]}"


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
