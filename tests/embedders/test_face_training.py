"""Training on faces: the loss against numpy, sampling, calibration, and a small training."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedders.base import EncodeOptions, Item, Modality
from embedders.errors import OptionError
from embedders.face.augment import augment
from embedders.face.calibration import measure
from embedders.face.fitting import within
from embedders.face.gradients import EdgeDirections
from embedders.face.losses import TripletObjective
from embedders.face.network import scale_pixels
from embedders.face.params import FaceParams, Mining
from embedders.face.people import held_out, read_people
from embedders.face.reading import crop_for
from embedders.face.sampling import PeopleSampler
from embedders.face.trainer import FaceTraining, embed_images, train_face
from embedders.face.verification import (
    all_pairs,
    draw_pairs,
    operating_point,
    threshold_at_far,
)
from embedders.face.weights import load_weights
from embedders.registry import load
from embedders.training import silent, train
from tests.embedders.face_world import encoded, person, write_people

SMALL = {"epochs": 6, "people": 8, "components": 40, "hidden": 16, "dim": 12, "variants": 3}

ONE = {**SMALL, "epochs": 1, "holdout": 0.5, "mining": Mining.ALL}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"), 60, 4)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "faces.safetensors"
    train("face", folder, out, {**SMALL, "holdout": 0.6})
    return out


def unit_rows(seed: int, count: int = 14, dim: int = 5) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def plain_triplets(
    rows: np.ndarray, labels: np.ndarray, mining: Mining, margin: float
) -> list[float]:
    """Losses of the mined triplets, one loop each, as FaceNet writes them."""
    squared = ((rows[:, None].astype(np.float64) - rows[None]) ** 2).sum(-1)
    losses = []
    for a in range(len(rows)):
        positives = [p for p in range(len(rows)) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(len(rows)) if labels[n] != labels[a]]
        if mining is Mining.BATCH_HARD and positives:
            positives = [max(positives, key=lambda p: squared[a, p])]
            negatives = [min(negatives, key=lambda n: squared[a, n])]
        for p in positives:
            for n in negatives:
                gap = squared[a, n] - squared[a, p]
                chosen = {
                    Mining.SEMI_HARD: 0 < gap <= margin,
                    Mining.HARD: gap <= 0,
                    Mining.ALL: gap <= margin,
                    Mining.BATCH_HARD: True,
                }[mining]
                if chosen:
                    losses.append(max(0.0, margin - gap))
    return [loss for loss in losses if loss > 0]


@pytest.mark.parametrize("mining", list(Mining))
@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_facenets(mining: Mining, seed: int) -> None:
    rows, labels = unit_rows(seed), np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7])
    objective = TripletObjective(mining, 0.3)
    loss = float(objective(torch.from_numpy(rows), torch.from_numpy(labels)))
    expected = plain_triplets(rows, labels, mining, 0.3)
    assert expected
    assert loss == pytest.approx(np.mean(expected), rel=1e-4)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(2, 9), st.integers(2, 5))
def test_an_epoch_meets_every_person_once(counts: list[int], people: int, photos: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sampler = PeopleSampler(labels, people, photos, seed=3)
    batches = list(sampler.epoch())
    assert len(batches) == sampler.batches
    known = [i for i, count in enumerate(counts) if count > 1]
    met: list[int] = []
    for batch in batches:
        assert len(set(batch.tolist())) == len(batch) <= people * photos
        drawn, sizes = np.unique(labels[batch], return_counts=True)
        for one, size in zip(drawn, sizes, strict=True):
            assert size == min(photos, counts[one])
        met += [int(one) for one in drawn if counts[one] > 1]
    assert sorted(met) == known


def test_people_are_held_out_by_name_alone() -> None:
    names = tuple(f"person{i}" for i in range(4000))
    sides = held_out(names, 0.2)
    assert np.array_equal(sides[::2], held_out(names[::2], 0.2))
    assert np.bincount(sides) / len(names) == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert not held_out(names, 0.0).any()


@given(st.integers(0, 1000), st.integers(0, 6))
def test_thresholds_against_brute_force(seed: int, allowed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-5, 6, 30) / 5
    same = np.r_[np.ones(10, bool), np.zeros(20, bool)]
    far = allowed / 20
    threshold = threshold_at_far(scores, same, far)
    point = operating_point(scores, same, threshold)
    assert point.far == np.mean(scores[~same] >= threshold) <= far
    assert point.frr == np.mean(scores[same] < threshold)
    lower = [t for t in np.unique(scores) if t < threshold and np.mean(scores[~same] >= t) <= far]
    assert not [t for t in lower if np.mean(scores[same] < t) < point.frr]


def test_pairs_are_balanced_and_keep_people_in_one_fold() -> None:
    labels = np.repeat(np.arange(80), np.random.default_rng(0).integers(1, 9, 80))
    pairs = draw_pairs(labels, seed=1, most_each=4)
    assert pairs.same.sum() * 2 == len(pairs.same)
    assert np.array_equal(labels[pairs.first] == labels[pairs.second], pairs.same)
    assert (pairs.first != pairs.second).all()
    folds: dict[int, set[int]] = {}
    for fold, first, second in zip(pairs.fold, pairs.first, pairs.second, strict=True):
        for photo in (first, second):
            folds.setdefault(int(labels[photo]), set()).add(int(fold))
    assert {len(found) for found in folds.values()} == {1}
    assert max(np.bincount(labels[pairs.first[pairs.same]])) <= 4


def test_all_pairs_are_all() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    pairs = all_pairs(labels, seed=0)
    found = {
        tuple(sorted(p)) for p in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    assert len(found) == len(pairs.same) == 15
    assert pairs.same.sum() == 4


def test_ten_fold_accuracy_of_perfect_and_of_blind_rows() -> None:
    labels = np.repeat(np.arange(60), 4)
    rng = np.random.default_rng(0)
    perfect = np.eye(60, dtype=np.float32)[labels]
    assert measure(labels, perfect)["accuracy_10_fold"] == 1.0
    blind = unit_rows(1, len(labels), 40)
    assert measure(labels, blind)["accuracy_10_fold"] == pytest.approx(0.5, abs=0.1)
    mixed = perfect + rng.normal(0, 0.12, perfect.shape).astype(np.float32)
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    assert 0.6 < measure(labels, mixed)["accuracy_10_fold"] < 1.0


def test_the_spread_within_people_is_numpys() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 3)).astype(np.float32)
    labels = np.repeat(np.arange(5), 4)
    parts = [np.cov(rows[labels == i].T, bias=True) for i in range(5)]
    expected = np.sum(parts, axis=0)
    np.testing.assert_allclose(within(rows, labels), expected * 3 / np.trace(expected), atol=1e-5)


def test_edges_know_their_direction_and_forget_brightness() -> None:
    edges = EdgeDirections(64)
    ramp = torch.linspace(-0.5, 0.5, 64).expand(1, 3, 64, 64)
    found = edges(ramp).view(3, 8, 15, 15)
    assert found[0].sum(dim=(1, 2)).argmax() == 0
    upright = edges(ramp.transpose(2, 3)).view(3, 8, 15, 15)
    assert upright[0].sum(dim=(1, 2)).argmax() == 2
    torch.testing.assert_close(edges(ramp + 0.3), edges(ramp), atol=1e-3, rtol=1e-3)


def test_variation_keeps_shape_and_repeats_with_its_seed() -> None:
    pictures = scale_pixels(torch.from_numpy(np.stack([person(i, 0) for i in range(6)])))
    one = augment(pictures, torch.Generator().manual_seed(1))
    again = augment(pictures, torch.Generator().manual_seed(1))
    other = augment(pictures, torch.Generator().manual_seed(2))
    assert one.shape == pictures.shape
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_training_reduces_the_loss_and_separates_people(folder: Path) -> None:
    people = read_people(folder, crop_for(FaceParams()), silent)
    training = FaceTraining(people, FaceParams(**ONE))  # type: ignore[arg-type]
    training.describe(silent)
    torch.nn.init.normal_(training.network.head.linear.weight)
    labels = training.train.labels
    before = embed_images(training.network, training.train.images)
    training.params = FaceParams(**{**ONE, "epochs": 25})  # type: ignore[arg-type]
    training.run(silent)
    after = embed_images(training.network, training.train.images)
    assert whole_loss(after, labels) < 0.8 * whole_loss(before, labels)
    assert separation(after, labels) > separation(before, labels) + 0.05


def whole_loss(rows: np.ndarray, labels: np.ndarray, margin: float = 0.3) -> float:
    """FaceNet's loss over every triplet there is, divided by their number."""
    squared = 2 - 2 * rows @ rows.T
    same = labels[:, None] == labels[None]
    other = ~same
    np.fill_diagonal(same, False)
    gaps = squared[:, :, None] - squared[:, None, :] + margin
    chosen = same[:, :, None] & other[:, None, :]
    return float(np.maximum(gaps[chosen], 0).mean())


def separation(rows: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine within people less that between them."""
    cosines, same = rows @ rows.T, labels[:, None] == labels[None]
    np.fill_diagonal(same, False)
    return float(cosines[same].mean() - cosines[labels[:, None] != labels[None]].mean())


def test_the_file_tells_thresholds_and_loads(trained: Path) -> None:
    weights = load_weights(trained)
    best = json.loads(weights.metadata["thresholds"])["best"]
    assert -1 < best["threshold"] < 1
    assert 0 <= best["far"] < 0.5
    metrics = json.loads(weights.metadata["metrics"])
    assert metrics["accuracy_10_fold"] > 0.8
    encoder = load("mine", "face", str(trained))
    assert encoder.info.same_threshold == best["threshold"]
    item = Item(Modality.IMAGE, encoded(person(3, 9)))
    options = EncodeOptions(cropped=True)
    rows = encoder.encode([encoder.prepare(item, options)], options).rows
    assert rows.shape == (1, 12)
    assert np.linalg.norm(rows) == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        expected = weights.network(scale_pixels(torch.from_numpy(person(3, 9)[None])))
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-6)


def test_a_tar_is_read_like_its_folder(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=".")
    one = read_people(folder, crop_for(FaceParams()), silent)
    other = read_people(path, crop_for(FaceParams()), silent)
    assert one.names == other.names
    assert np.array_equal(one.images, other.images)


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path, trained: Path) -> None:
    again = train_face(folder, tmp_path / "b.safetensors", FaceParams(**SMALL, holdout=0.6))  # type: ignore[arg-type]
    one, other = load_weights(trained), load_weights(again.path)
    for name, tensor in one.network.state_dict().items():
        torch.testing.assert_close(tensor, other.network.state_dict()[name])


def test_damaged_photos_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_people(tmp_path / "few", 8, 2)
    (folder / "person000" / "x.jpg").write_bytes(b"not a photo")
    report = train_face(folder, tmp_path / "m.safetensors", FaceParams(**SMALL, holdout=0.0))  # type: ignore[arg-type]
    assert any("person000/x.jpg" in warning for warning in report.warnings)
    assert any("no threshold" in warning for warning in report.warnings)


@pytest.mark.parametrize("make", ["nothing", "empty", "one photo each"])
def test_folders_that_cannot_be_learnt_from(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "people"
    if make == "empty":
        folder.mkdir()
    elif make == "one photo each":
        write_people(folder, 5, 1)
    with pytest.raises(OptionError) as caught:
        train("face", folder, tmp_path / "m.safetensors", SMALL)
    assert caught.value.field == "source"
