"""Make `clip-mini`, the small CLIP model shipped in the repository.

    python scripts/make_clip_mini.py DATA --out embedders/minis/clip-mini

DATA holds flickr8k/train.tar and dev.tar (KEY.jpg beside KEY.json with `{"captions": [...]}`),
imagenet-samples.tar (more photos, without captions) and teacher/*.tflite.

1. The teacher's features of some random views of each photo are computed, and the rows of all
   captions from the frozen text tower, packaged MiniLM.
2. A space is fitted on them: an image head and a text projection, by CLIP's loss.
3. The student, a small network with random weights, learns where the teacher puts each view in
   that space, and from the captions themselves (`clip_mini/distillation.py`).

All is kept in the --work folder and read from there when it exists, so an interrupted call goes
on where it stopped. `--evaluate-only` prints the figures of a file on DATA's dev split.
"""

import argparse
import json
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from clip_mini.distillation import Distillation  # type: ignore[import-not-found]
from clip_mini.heads import HeadParams, Space, fitted_space  # type: ignore[import-not-found]
from clip_mini.teacher import WHOLE, Teacher, ViewFeatures  # type: ignore[import-not-found]
from numpy.typing import NDArray
from torch import Tensor, nn

from embedders.base import EncodeOptions, Item, Modality
from embedders.clip.encoder import ClipEncoder
from embedders.clip.params import ClipParams
from embedders.clip.trainer import torch_threads
from embedders.clip.training.captioned import CaptionedImages, read_images, read_pictures
from embedders.clip.training.layout import TrainedParts, model_cfg, save_model
from embedders.clip.training.loop import ImageTraining
from embedders.clip.training.objectives import CaptionTable
from embedders.clip.training.retrieval import picture_rows, recall
from embedders.clip.training.text_rows import text_rows
from embedders.clip.training.towers import new_tower
from embedders.clip.training.views import ViewRange
from embedders.devices import has_bfloat16, pick_device
from embedders.evaluation.base import embed_all
from embedders.evaluation.cross_modal import read_captioned
from embedders.evaluation.files import Archive, Images
from embedders.evaluation.local import LocalSubject
from embedders.training import silent

TRAIN, DEV = "flickr8k/train.tar", "flickr8k/dev.tar"
MORE, TEACHER = "imagenet-samples.tar", "teacher/mobilenet_v2_1.0_224_quant.tflite"
# the model may read larger pictures than it learnt from; which, the dev split says
EVALUATION_SIZES = (96, 112, 128, 144)

Pictures = NDArray[np.uint8]


def params_of(args: argparse.Namespace) -> ClipParams:
    """The training's parameters."""
    device = pick_device(args.device)
    return ClipParams(
        start="",
        dim=HeadParams().dim,
        epochs=args.epochs,
        minutes=args.minutes,
        seed=args.seed,
        threads=args.threads,
        device=device,
        bfloat16=has_bfloat16(device),
    )


def kept_rows(work: Path, name: str, images: CaptionedImages, params: ClipParams) -> Tensor:
    """Rows of the captions, from the work folder if they are there; float32 (captions, 384)."""
    path = work / f"text-{name}.npy"
    if not path.exists():
        np.save(path, text_rows(images.captions, params.device, params.bfloat16).numpy())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def teacher_features(args: argparse.Namespace, pixels: Pictures, span: ViewRange) -> Tensor:
    """Features of each image and of `args.views` views of it, float16 (1 + views, n, 1280)."""
    features = ViewFeatures(
        Teacher(args.data / TEACHER), pixels, span, args.seed, args.work, "train"
    )
    return torch.from_numpy(np.stack([features(view) for view in (WHOLE, *range(args.views))]))


def train(args: argparse.Namespace) -> None:
    """All steps, from the data to the files."""
    args.work.mkdir(parents=True, exist_ok=True)
    params = params_of(args)
    images = read_images(args.data / TRAIN, params.stored_size, silent)
    pixels = np.concatenate([images.pixels, read_pictures(args.data / MORE, params.stored_size)])
    features = teacher_features(args, pixels, ViewRange(params.smallest_crop, params.colour))
    texts = kept_rows(args.work, "train", images, params)
    count = len(images.names)
    torch.manual_seed(args.seed)
    space = fitted_space(
        args.work / "space.safetensors", features[:, :count], images, texts, HeadParams()
    )
    tower = new_tower(params.architecture, params.dim, max(EVALUATION_SIZES))
    width = tower.get_parameter("head.proj.weight").shape[1]
    table = CaptionTable(texts, images)
    objective = Distillation(space, features[1:], table, count, width)
    state = args.work / "student.safetensors"
    training = ImageTraining(tower, objective, pixels, params, params.device, state)
    dev = Dev(args, params, space)
    training.run(silent, partial(dev.report, training))
    size, figures = dev.best_size(training.tower)
    parts = TrainedParts(training.tower, space.projection, space.scale)
    metadata = {
        "family": "clip",
        "trained_on": "Flickr8k train split; distilled from an ImageNet MobileNetV2",
        "license": "made with research, non-commercial data",
        "params": json.dumps({**asdict(params), "image_size": size, "views": args.views}),
        "metrics": json.dumps({"epochs": training.epochs, **figures}),
        "torch": torch.__version__,
        "timm": version("timm"),
    }
    save_model(args.out, model_cfg(params.architecture, params.dim, size), parts, metadata)


class Dev:
    """Figures on the dev split while training."""

    def __init__(self, args: argparse.Namespace, params: ClipParams, space: Space) -> None:
        self._params, self._every = params, args.report_every
        self._images = read_images(args.data / DEV, params.stored_size, silent)
        rows = kept_rows(args.work, "dev", self._images, params)
        self._texts = rows @ space.projection.T

    def figures(self, tower: nn.Module, size: int) -> dict[str, float]:
        """Recall both ways, as shares."""
        params = self._params
        rows = picture_rows(tower, self._images.pixels, size, params.device, params.bfloat16)
        return recall(rows, self._texts, self._images.owner)

    def report(self, training: ImageTraining, epoch: int, loss: float) -> None:
        """Prints how an epoch went."""
        line = f"epoch {epoch}, {training.schedule.share:.1%}, loss {loss:.4f}"
        if epoch % self._every == 0:
            found = self.figures(training.tower, EVALUATION_SIZES[1])
            line += "".join(f", {name} {value:.3f}" for name, value in found.items())
        print(line, flush=True)

    def best_size(self, tower: nn.Module) -> tuple[int, dict[str, float]]:
        """The size of pictures with the best text-to-image recall at 10, and its figures."""
        found = {size: self.figures(tower, size) for size in EVALUATION_SIZES}
        for size, figures in found.items():
            print(f"pictures of {size}: {figures}", flush=True)
        best = max(found, key=lambda size: found[size]["text_to_image_recall_10"])
        return best, found[best]


def evaluate(args: argparse.Namespace) -> None:
    """Print the figures of the model card: of the files as they are served."""
    model = LocalSubject(ClipEncoder.load("clip-mini", str(args.out), {}))
    archive = Archive(args.data / DEV)
    dev = read_captioned(archive)
    captions = [Item(Modality.TEXT, caption) for caption in dev.captions]
    found = [
        torch.from_numpy(embed_all(model, items, EncodeOptions(), silent, "evaluate").rows)
        for items in (Images(archive, dev.images), captions)
    ]
    for name, value in recall(found[0], found[1], dev.owner).items():
        print(f"{name}: {value:.2%}")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("clip-mini-work"))
    parser.add_argument("--views", type=int, default=12, help="that the teacher sees of a photo")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--minutes", type=float, default=0.0, help="end by then; 0: by epochs")
    parser.add_argument("--report-every", type=int, default=3, help="epochs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evaluate-only", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Make the model (unless told not to) and print its figures."""
    args = parse_args()
    with torch_threads(args.threads):
        if not args.evaluate_only:
            train(args)
        evaluate(args)


if __name__ == "__main__":
    main()
