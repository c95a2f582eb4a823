"""Models of a hub's cache, without network: pinned revisions and what is said offline."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from embedders import EncodeOptions, Encoder, Item, Modality, load
from embedders.errors import ModelFormatError
from embedders.vectors import FloatRows

MakeModel = Callable[..., Path]

FIRST, SECOND = "1" * 40, "2" * 40
CPU = {"device": "cpu"}


@pytest.fixture
def cache(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Path]:
    """A cache as the hub's client writes it: two commits of one model, "main" at the second."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    root = tmp_path / "models--house--tiny"
    folders = {FIRST: make_model(seed=1), SECOND: make_model(seed=2)}
    for commit, folder in folders.items():
        shutil.copytree(folder, root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(SECOND)
    (root / "refs" / "v1.0").write_text(FIRST)
    return folders


def row(encoder: Encoder) -> FloatRows:
    prepared = encoder.prepare(Item(Modality.TEXT, "some words"), EncodeOptions())
    return encoder.encode([prepared]).rows


@pytest.mark.parametrize(
    ("revision", "commit"),
    [(None, SECOND), ("main", SECOND), ("v1.0", FIRST), (FIRST, FIRST), (SECOND, SECOND)],
)
def test_a_revision_is_the_model_of_that_commit(
    revision: str | None, commit: str, cache: dict[str, Path]
) -> None:
    model = load("m", "sentence", "house/tiny", {**CPU, "revision": revision})
    expected = load("m", "sentence", str(cache[commit]), CPU)
    np.testing.assert_array_equal(row(model), row(expected))
    assert model.info.revision == expected.info.revision
    assert model.info.space_id == expected.info.space_id


@pytest.mark.parametrize("only_local", [False, True])
def test_what_is_missing_offline_names_the_cure(
    only_local: bool, cache: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", not only_local)
    options = {**CPU, "local_files_only": only_local}
    why = "local_files_only" if only_local else "HF_HUB_OFFLINE"
    with pytest.raises(ModelFormatError, match=f"{why} forbids.*hf download house/other, or name"):
        load("m", "sentence", "house/other", options)
    with pytest.raises(
        ModelFormatError, match=r"at revision 'v2'.*hf download house/tiny --revision v2"
    ):
        load("m", "sentence", "house/tiny", {**options, "revision": "v2"})
