"""Texts without a visible character are empty to every model that embeds texts."""

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedders import Encoder, Item, Modality, load
from embedders.base import EncodeOptions, Prepared
from embedders.errors import InvalidItemError
from embedders.visible import check_visible

EXAMPLES = 10_000 if os.environ.get("LATENTSPACE_LONG") else 200
INVISIBLE = [
    "", " ", "\n\t", "\u200b", "\0", "\ufeff", "\u00ad", "\u00a0", "\u2028", "\u3000", "\x85",
    "\u200d\u2060", "\ufe0f", "\U000e0100", "\u0301", "\u034f", "\u180e", "\u3164", "\u115f",
    "\uffa0", "\u2800", "\u202e\u202c", "\U000e0041", " \u200b\ufe0f\n",
]  # fmt: skip
VISIBLE = [
    "?", "a", "\u200ba", "e\u0301", "日本", "👍", "❤\ufe0f", ".", "०", "א", "\ue000", "0",
    "\U0001fae8", "A dog on a beach.",
]  # fmt: skip


class Plugin(Encoder):
    """A family of a third party, which checks nothing itself."""

    def __init__(self) -> None:
        self.info = load("h", "hash").info

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        return Prepared(item.value, item.modality)

    def _forward(self, batch: object, options: EncodeOptions) -> object:  # type: ignore[override]
        raise NotImplementedError


@pytest.fixture(scope="module", params=["sentence", "clip", "averaged", "hash", "plugin"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    family: str = request.param
    if family == "plugin":
        return Plugin()
    if family in ("sentence", "clip"):
        needed = {"sentence": "sentence_transformers", "clip": "open_clip"}[family]
        pytest.importorskip(needed, reason=f"{needed} is missing")
    return load("m", family)


def test_every_family_refuses_invisible_texts_alone(encoder: Encoder) -> None:
    items = [Item(Modality.TEXT, text) for text in [*INVISIBLE, *VISIBLE, "king"]]
    found = encoder.prepare_batch(items)
    for text, prepared in zip(INVISIBLE, found, strict=False):
        assert isinstance(prepared, InvalidItemError), ascii(text)
        assert "no visible character" in str(prepared)
    assert isinstance(found[-1], Prepared)
    if encoder.info.family in ("sentence", "clip"):
        assert all(isinstance(prepared, Prepared) for prepared in found[len(INVISIBLE) :])


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    hidden=st.lists(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Mc"])),
    letter=st.characters(categories=["L", "N", "P", "Sm", "Sc"]),
    place=st.integers(0, 100),
)
def test_one_visible_character_is_enough(hidden: list[str], letter: str, place: int) -> None:
    with pytest.raises(InvalidItemError):
        check_visible("".join(hidden))
    if "FILLER" in unicodedata.name(letter, ""):
        return
    hidden.insert(place % (len(hidden) + 1), letter)
    check_visible("".join(hidden))
