"""Models whose encodings are counted, in registries of one core."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from embedders import EncodeOptions, Encoder, Item, Modality
from embedders.base import DEFAULT_OPTIONS, Encoded, Prepared, Region
from embedders.errors import OptionError
from embedders.hashing import HashEncoder

TIMEOUT_S = 60.0


class Counting(HashEncoder):
    """A hash model that keeps the words of what it encoded, and can be held."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.encoded: list[str] = []
        self.free = threading.Event()
        self.free.set()

    def warm_up(self) -> None:
        return

    def check_options(self, options: EncodeOptions) -> None:
        super().check_options(options)
        if options.cropped:
            raise OptionError("cropped", "this model cuts nothing out")

    def encode(
        self, batch: Sequence[Prepared], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> Encoded:
        assert self.free.wait(TIMEOUT_S)
        self.encoded += [b" ".join(prepared.data).decode(errors="replace") for prepared in batch]
        return super().encode(batch, options)


class Pairs(Counting):
    """Gives two rows an input, each with a region."""

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        rows = super()._forward(batch, options).rows
        regions = [Region(i % 2 + 0.1, 2.0, 3.5, 4.25, 0.75) for i in range(2 * len(batch))]
        index = [i for i in range(len(batch)) for _ in range(2)]
        return Encoded(rows[index], Encoded.one_each(rows[index]).index // 2, regions)


def loader(model_id: str, family: str, source: str, options: Mapping[str, Any]) -> Encoder:
    kind = Pairs if source == "pairs" else Counting
    return kind.load(model_id, source, options)


def texts(*values: str) -> list[Item]:
    return [Item(Modality.TEXT, value) for value in values]


async def turns(count: int = 20) -> None:
    """Lets other tasks go on."""
    for _ in range(count):
        await asyncio.sleep(0)
