"""Zero-shot classification, label sets and comparison: the real server against open_clip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from gensim.models import KeyedVectors

from embedders.vectors import FloatRows
from latentspace import Client, image, key, point, text, vector
from latentspace.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    LatentspaceError,
    NotFoundError,
    PartialError,
)
from latentspace.inputs import Input
from services.app.local import LocalServer
from services.runtime.templates import TEMPLATE_SETS
from tests.embedders.clip_models import TINY, pictures, png, reference_rows, save_tiny

CPU = {"device": "cpu"}
LABELS = ["cat", "dog", "red car", "the open sea"]
TEMPLATES = ["a photo of a {}.", "{} in the rain", "my {}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classes")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    """open_clip's own model, whose weights the server has."""
    return save_tiny(folder / "clip")


@pytest.fixture(scope="module")
def sigmoid(folder: Path) -> Any:
    """A model with a logit bias, as SigLIP has."""
    return save_tiny(folder / "siglip", {**TINY, "init_logit_bias": -3.0}, seed=1)


def settings(folder: Path) -> dict[str, Any]:
    words = KeyedVectors(8)
    rng = np.random.default_rng(3)
    words.add_vectors(["cat", "dog", "sea"], rng.standard_normal((3, 8)).astype(np.float32))
    words.save_word2vec_format(str(folder / "words.bin"), binary=True)
    return {
        "models": {
            "clip": {"family": "clip", "source": str(folder / "clip"), "options": CPU},
            "siglip": {"family": "clip", "source": str(folder / "siglip"), "options": CPU},
            "words": {"family": "word2vec", "source": str(folder / "words.bin")},
            "toy": {"family": "hash", "options": {"dim": 16}},
        }
    }


@pytest.fixture(scope="module")
def client(folder: Path, theirs: Any, sigmoid: Any) -> Iterator[Client]:
    with (
        LocalServer(folder / "data", settings(folder)) as running,
        Client(running.address) as opened,
    ):
        yield opened
    assert running.process.returncode == 0, "\n".join(running.log)


def classifier(model: Any, templates: list[str], names: list[str] = LABELS) -> FloatRows:
    """open_clip's own zero-shot weights, float32 (dim, labels)."""
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    with torch.inference_mode():
        made = open_clip.build_zero_shot_classifier(
            model, tokenizer, names, templates, num_classes_per_batch=None
        )
    return np.asarray(made)


def probabilities(found: list[Any], names: list[str] = LABELS) -> FloatRows:
    return np.array([[{x.label: x.probability for x in one}[n] for n in names] for one in found])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (TEMPLATES, TEMPLATES),
        ("imagenet", list(TEMPLATE_SETS["imagenet"])),
        ("plain", ["a photo of a {}"]),
        (None, ["a photo of a {}"]),
        ("just {}", ["just {}"]),
    ],
)
def test_inline_labels_and_label_sets_are_open_clips_classifier(
    client: Client, theirs: Any, given: Any, meant: list[str]
) -> None:
    shown = pictures(6)
    weights = classifier(theirs, meant)
    logits = float(theirs.logit_scale.exp()) * reference_rows(theirs, shown) @ weights
    expected = np.asarray(torch.tensor(logits).softmax(dim=1))
    files = [png(one) for one in shown]
    found = client.classify("clip", images=files, labels=LABELS, templates=given)
    np.testing.assert_allclose(probabilities(found), expected, atol=2e-5)
    assert [[one.label for one in each] for each in found] == [
        [LABELS[i] for i in np.argsort(-row, kind="stable")] for row in expected
    ]
    client.create_label_set("these", model="clip", labels=LABELS, templates=given)
    stored = client.classify("clip", images=files, label_set="these", top_k=2)
    client.delete_label_set("these")
    assert [each[:2] for each in found] == stored


def test_templates_equal_open_clips_list() -> None:
    theirs = {template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES}
    assert set(TEMPLATE_SETS["imagenet"]) == theirs
    assert len(TEMPLATE_SETS["imagenet"]) == 80


def test_items_of_every_kind(client: Client) -> None:
    [shown] = pictures(1)
    row = client.embed("clip", images=[png(shown)])[0]
    client.create_collection("pictures", model="clip")
    client.upsert("pictures", ids=["one"], images=[png(shown)])
    items: list[Input] = [image(png(shown)), vector(row), point("one", "pictures"), text("a cat")]
    found = probabilities(client.classify("clip", inputs=items, labels=LABELS))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)
    assert np.abs(found[3] - found[0]).max() > 0.01
    with pytest.raises(PartialError) as caught:
        client.classify(
            "clip",
            inputs=[point("one"), vector([1.0, 2.0]), image(b"none"), text("a dog")],
            labels=LABELS,
        )
    errors = caught.value.errors
    assert sorted(errors) == [0, 1, 2]
    assert "name the collection" in str(errors[0])
    assert "2 dimensions, model 'clip' has 32" in str(errors[1])
    kept: Any = caught.value.result
    assert [len(one) for one in kept] == [0, 0, 0, len(LABELS)]


def test_scale_threshold_and_sigmoid(client: Client, theirs: Any, sigmoid: Any) -> None:
    shown = pictures(4)
    files = [png(one) for one in shown]
    cosines = reference_rows(theirs, shown) @ classifier(theirs, TEMPLATES)
    found = client.classify(
        "clip", images=files, labels=LABELS, templates=TEMPLATES, logit_scale=3.0
    )
    expected = np.asarray(torch.tensor(3 * cosines).softmax(dim=1))
    np.testing.assert_allclose(probabilities(found), expected, atol=1e-5)
    floor = float(np.median(expected))
    few = client.classify(
        "clip",
        images=files,
        labels=LABELS,
        templates=TEMPLATES,
        logit_scale=3.0,
        min_probability=floor,
    )
    assert few == [[one for one in each if one.probability >= floor] for each in found]

    cosines = reference_rows(sigmoid, shown) @ classifier(sigmoid, TEMPLATES)
    logits = float(sigmoid.logit_scale.exp()) * cosines + float(sigmoid.logit_bias)
    single = client.classify("siglip", images=files, labels=LABELS, templates=TEMPLATES)
    np.testing.assert_allclose(
        probabilities(single), np.asarray(torch.tensor(logits).sigmoid()), atol=1e-5
    )
    one = client.classify(
        "siglip", images=files, labels=LABELS, templates=TEMPLATES, activation="softmax"
    )
    np.testing.assert_allclose(probabilities(one).sum(axis=1), 1, atol=1e-5)
    with pytest.raises(InvalidArgumentError, match=r"no logit bias.*use softmax"):
        client.classify("clip", images=files, labels=LABELS, activation="sigmoid")


def test_words_classify_words(client: Client) -> None:
    rows = client.embed("words", keys=["cat", "dog", "sea"])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = client.classify("words", keys=["cat", "sea"], labels=["dog", "sea"])
    logits = torch.tensor(20 * units[[0, 2]] @ units[[1, 2]].T)
    expected = np.asarray(logits.softmax(dim=1))
    np.testing.assert_allclose(probabilities(found, ["dog", "sea"]), expected, atol=1e-5)
    with pytest.raises(InvalidArgumentError, match="'bird' cannot be embedded"):
        client.classify("words", keys=["cat"], labels=["dog", "bird"])


def test_label_sets_are_resources(client: Client) -> None:
    made = client.create_label_set("pets", model="clip", labels=LABELS, templates="imagenet")
    assert (made.model, made.space_id) == ("clip", client.model("clip").space_id)
    assert (made.labels, made.template_set, made.templates) == (tuple(LABELS), "imagenet", ())
    own = client.create_label_set("cars", model="clip", labels=LABELS)
    assert own.templates == ("a photo of a {}",)
    assert [one.name for one in client.label_sets()] == ["cars", "pets"]
    assert client.label_set("pets") == made
    with pytest.raises(AlreadyExistsError, match="pets"):
        client.create_label_set("pets", model="clip", labels=["other"])
    client.delete_label_set("cars")
    with pytest.raises(NotFoundError, match=r"'cars'; there are: pets"):
        client.label_set("cars")
    with pytest.raises(NotFoundError, match="cars"):
        client.classify("clip", texts=["x"], label_set="cars")
    with pytest.raises(NotFoundError, match="cars"):
        client.delete_label_set("cars")
    with pytest.raises(FailedPreconditionError, match=r"made by model 'clip'.*create it again"):
        client.classify("siglip", texts=["x"], label_set="pets")
    client.delete_label_set("pets")


@pytest.mark.parametrize(
    ("labels", "templates", "part"),
    [
        (["a", "b", "a"], None, r"spec.labels\[2\].*'a' is label 0 already"),
        (["a", " "], None, r"labels\[1\].*not empty"),
        (["a"], "none such", "none such.*imagenet, plain"),
        (["x" * 1001], None, "at most 1000 characters"),
    ],
)
def test_labels_that_are_none(client: Client, labels: list[str], templates: Any, part: str) -> None:
    with pytest.raises(InvalidArgumentError, match=part):
        client.classify("clip", texts=["x"], labels=labels, templates=templates)
    with pytest.raises(InvalidArgumentError, match=part):
        client.create_label_set("bad", model="clip", labels=labels, templates=templates)
    assert client.label_sets() == []


def test_label_sets_outlive_the_server_and_refuse_other_weights(tmp_path: Path) -> None:
    save_tiny(tmp_path / "clip")
    save_tiny(tmp_path / "siglip", {**TINY, "init_logit_bias": -3.0}, seed=1)
    configuration = settings(tmp_path)
    with LocalServer(tmp_path / "data", configuration) as running, Client(running.address) as ls:
        made = ls.create_label_set("kept", model="clip", labels=LABELS, templates=TEMPLATES)
        before = ls.classify("clip", texts=["a cat"], label_set="kept")
    with LocalServer(tmp_path / "data", configuration) as running, Client(running.address) as ls:
        assert ls.label_sets() == [made]
        assert ls.classify("clip", texts=["a cat"], label_set="kept") == before
    save_tiny(tmp_path / "clip", seed=9)
    with LocalServer(tmp_path / "data", configuration) as running, Client(running.address) as ls:
        with pytest.raises(FailedPreconditionError, match="made by model 'clip' as it was then"):
            ls.classify("clip", texts=["a cat"], label_set="kept")
        ls.delete_label_set("kept")
        ls.create_label_set("kept", model="clip", labels=LABELS, templates=TEMPLATES)
        ls.classify("clip", texts=["a cat"], label_set="kept")


def test_pairs(client: Client, theirs: Any) -> None:
    shown, sentences = pictures(2), ["a cat", "a dog"]
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    rows = np.concatenate(
        [reference_rows(theirs, shown), reference_rows(theirs, sentences, tokenizer)]
    )
    pairs: list[tuple[Input, Input]] = [
        (image(png(shown[0])), image(png(shown[1]))),
        (image(png(shown[0])), text("a cat")),
        (text("a dog"), text("a dog")),
    ]
    expected = [rows[0] @ rows[1], rows[0] @ rows[2], 1.0]
    found = client.compare("clip", pairs=pairs)
    np.testing.assert_allclose([one.score for one in found], expected, atol=1e-5)
    assert {(one.same, one.threshold, one.false_accept_rate) for one in found} == {
        (None, None, None)
    }
    told = client.compare("clip", pairs=pairs, threshold=float(expected[0]) + 0.01)
    assert [one.same for one in told] == [
        False,
        bool(expected[1] >= expected[0] + 0.01),
        True,
    ]
    with pytest.raises(InvalidArgumentError, match=r"threshold.*-1 to 1"):
        client.compare("clip", pairs=pairs, threshold=2.0)
    with pytest.raises(PartialError) as caught:
        client.compare("clip", pairs=[(text("a"), image(b"none")), *pairs])
    assert list(caught.value.errors) == [0]
    kept: Any = caught.value.result
    assert np.isnan(kept[0].score)
    assert kept[1].score == pytest.approx(float(expected[0]), abs=1e-5)
    with pytest.raises(LatentspaceError, match="no model 'none'"):
        client.compare("none", texts=[("a", "b")])
    assert client.compare("words", pairs=[(key("cat"), key("cat"))])[0].score == pytest.approx(1)
