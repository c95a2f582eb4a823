"""Where CLIP models come from: folders, checkpoints, tags, the hub's cache."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from embedders import Encoder, load
from embedders.clip.options import ClipOptions
from embedders.clip.source import clip_files
from embedders.errors import ModelFormatError
from tests.embedders.clip_models import TINY, save_tiny, write_config

CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    save_tiny(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load("tiny", "clip", str(folder), CPU)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("ViT-B-32/no_such_tag", {}, "tags of ViT-B-32: .*laion2b_s34b_b79k"),
        ("no-such-model", {}, "ARCHITECTURE/TAG"),
        ("/no/such/folder", {}, "no folder"),
        ("hf-hub:nobody/nothing", {"local_files_only": True}, "local cache"),
        ("hf-hub:not a name", {"local_files_only": True}, "not to be had"),
        ("ViT-B-32/laion2b_s34b_b79k", {"local_files_only": True}, "local cache"),
        ("RN50/yfcc15m", {"local_files_only": True}, "cache"),
    ],
)
def test_unknown_sources(source: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load("x", "clip", source, {**CPU, **options})


def test_a_folder_without_description_or_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="architecture"):
        load("x", "clip", str(tmp_path), CPU)
    write_config(tmp_path, TINY)
    with pytest.raises(ModelFormatError, match="no checkpoint"):
        load("x", "clip", str(tmp_path), CPU)
    (tmp_path / "weights.npz").write_bytes(b"x")
    with pytest.raises(ModelFormatError, match="a checkpoint is one of"):
        load("x", "clip", str(tmp_path / "weights.npz"), CPU)


def test_a_bare_checkpoint_names_its_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"")
    files = clip_files(str(path), ClipOptions(architecture="ViT-B-16"))
    assert files.model_cfg["vision_cfg"]["patch_size"] == 16
    with pytest.raises(ModelFormatError, match="unknown to open_clip"):
        clip_files(str(path), ClipOptions(architecture="../ViT"))


def test_a_tag_brings_its_activation_and_preprocessing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "open_clip_model.safetensors"
    monkeypatch.setattr("embedders.clip.hub.hf_hub_download", lambda *_, **__: str(weights))
    files = clip_files("ViT-B-32/openai", ClipOptions())
    assert files.model_cfg["quick_gelu"] is True
    assert files.weights == weights
    files = clip_files("ViT-B-32/laion2b_s34b_b79k", ClipOptions())
    assert not files.model_cfg.get("quick_gelu")


def test_a_hub_model_of_the_local_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Encoder
) -> None:
    """The cache's own layout, two commits of a repository: the revision picks one."""
    repository = tmp_path / "models--org--name"
    for commit, branch in (("a" * 40, "main"), ("b" * 40, "old")):
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
        if branch == "main":
            shutil.copytree(folder, snapshot, dirs_exist_ok=True)
        else:
            save_tiny(snapshot, seed=4)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    offline = {**CPU, "local_files_only": True}
    main = load("main", "clip", "hf-hub:org/name", offline)
    assert main.info.space_id == encoder.info.space_id
    for revision in ("old", "b" * 40):
        old = load("old", "clip", "hf-hub:org/name", {**offline, "revision": revision})
        assert old.info.revision != main.info.revision
