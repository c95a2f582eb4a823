import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedders import EncodeOptions, Encoder, Item, Modality, families, load
from embedders.errors import MissingExtraError, ModelError, ModelFormatError, OptionError
from embedders.registry import FAMILIES, find_family, import_target

PLUGIN = """
from embedders.hashing import HashEncoder

class Upper(HashEncoder):
    pass
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real third-party distribution, as pip would lay it out."""
    (tmp_path / "upper_plugin.py").write_text(PLUGIN)
    info = tmp_path / "upper_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: upper-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[latentspace.families]\nupper = upper_plugin:Upper\nbroken = no_such_module_here:X\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("upper_plugin", None)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_of_the_table_can_be_imported(family: str) -> None:
    found = find_family(family)
    assert isinstance(found, type)
    assert issubclass(found, Encoder)


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'word3vec' is unknown.*hash, node2vec.*word2vec"):
        load("m", "word3vec")


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"latentspace-server\[words\]") as caught:
        import_target("a_package_nobody_has.module:Class", "word2vec", "words")
    assert caught.value.package == "a_package_nobody_has"
    assert caught.value.extra == "words"


def test_a_fault_of_our_own_is_not_called_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_target("embedders.no_such_module:Class", "word2vec", "words")


@pytest.mark.usefixtures("plugin")
def test_a_plugin_is_listed_and_loaded() -> None:
    assert "upper" in families()
    encoder = load("u", "upper", options={"dim": 8})
    prepared = encoder.prepare(Item(Modality.TEXT, "a"), EncodeOptions())
    assert encoder.encode([prepared]).rows.shape == (1, 8)


@pytest.mark.usefixtures("plugin")
def test_a_broken_plugin_says_so() -> None:
    with pytest.raises(ModelError, match=r"'broken'.*no_such_module_here"):
        load("b", "broken")


def test_unknown_options_are_refused_by_name() -> None:
    with pytest.raises(OptionError, match="options: dim, max_tokens, seed") as caught:
        load("h", "hash", options={"dims": 8})
    assert caught.value.field == "dims"


def test_a_missing_file_names_the_shipped_models() -> None:
    with pytest.raises(ModelFormatError, match="nodes-mini"):
        load("w", "word2vec", "/no/such/file.bin")
