"""Contrastive training of an image tower beside a frozen text tower.

The text tower, packaged MiniLM, is frozen: only the image tower, the projection of texts and the
scale learn, by CLIP's loss (Radford and others, 2021). It is locked tuning (Zhai and others, "LiT",
2022) with the other tower locked. A few thousand captioned images fit a trained model to pictures
of a new kind; from random weights many more are needed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from embedders.clip.identity import revision_of
from embedders.clip.options import ClipOptions
from embedders.clip.params import ClipParams
from embedders.clip.source import clip_files
from embedders.clip.training.captioned import CaptionedImages, held_out, read_images
from embedders.clip.training.layout import TrainedParts, save_model
from embedders.clip.training.loop import ImageTraining
from embedders.clip.training.objectives import CaptionTable, Contrastive
from embedders.clip.training.retrieval import picture_rows, recall
from embedders.clip.training.text_rows import text_rows
from embedders.clip.training.towers import starting_parts
from embedders.devices import pick_device
from embedders.errors import OptionError
from embedders.training import Progress, TrainingReport, silent


def train_clip(
    source: Path,
    out: Path,
    params: ClipParams | None = None,
    progress: Progress = silent,
) -> TrainingReport:
    """Trains and writes a model in open_clip's layout, without the frozen text tower.

    Args:
        source: a folder or plain .tar with KEY.jpg (or another image) beside KEY.json
            `{"captions": [texts]}`.
        out: the safetensors file to write, or a folder for `model.safetensors`; its description
            open_clip_config.json is written beside it.
        progress: told the stages "read", "captions" and "train" (in steps).

    Raises:
        OptionError: a parameter does not fit, or the source has fewer than 4 readable images.
        MissingExtraError: MiniLM's package is not installed.
    """
    params = params or ClipParams()
    device = pick_device(params.device)
    with torch_threads(params.threads):
        parts, cfg = starting_parts(params)
        images = read_images(source, params.stored_size, progress)
        held = held_out(images.names, params.holdout)
        train = images.part(~held)
        if len(train.names) < 4:
            raise OptionError("source", f"{source}: {len(train.names)} images to train on; need 4")
        rows = text_rows(train.captions, device, params.bfloat16, progress)
        objective = Contrastive(CaptionTable(rows, train), parts.projection, parts.logit_scale)
        training = ImageTraining(parts.tower, objective, train.pixels, params, device)
        training.run(progress)
        made = TrainedParts(training.tower, objective.projection, objective.logit_scale)
        metrics = {
            "train_seconds": training.schedule.seconds,
            "epochs": float(training.epochs),
            "loss": training.loss,
            **_figures(made, images.part(held), int(cfg["vision_cfg"]["image_size"]), params),
        }
    path = save_model(out, cfg, made, _metadata(params, images, metrics))
    revision = revision_of(clip_files(str(path), ClipOptions()))
    warnings = tuple(_warnings(images, int(held.sum())))
    dim = len(made.projection)
    return TrainingReport("clip", path, len(train.names), dim, revision, metrics, warnings)


def _figures(
    parts: TrainedParts, held: CaptionedImages, size: int, params: ClipParams
) -> dict[str, float]:
    """Recall on the images kept out, as shares of all of them; none where there are none."""
    if not held.names:
        return {}
    device = pick_device(params.device)
    pictures = picture_rows(parts.tower, held.pixels, size, device, params.bfloat16)
    texts = text_rows(held.captions, device, params.bfloat16) @ parts.projection.cpu().T
    return {"held_out_images": float(len(held.names)), **recall(pictures, texts, held.owner)}


def _metadata(
    params: ClipParams, images: CaptionedImages, metrics: dict[str, float]
) -> dict[str, str]:
    return {
        "family": "clip",
        "params": json.dumps(asdict(params), sort_keys=True),
        "images": str(len(images.names)),
        "captions": str(len(images.captions)),
        "data_sha256": images.sha256,
        "metrics": json.dumps(metrics, sort_keys=True),
        "torch": torch.__version__,
    }


def _warnings(images: CaptionedImages, held: int) -> Iterator[str]:
    if images.unreadable:
        yield f"{len(images.unreadable)} images left out; the first: {images.unreadable[0]}"
    if not held:
        yield "no image was kept out, so there are no figures"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads of arithmetic within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
