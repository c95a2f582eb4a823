"""In the child process of an evaluation: the protocol, with the server's model at the other end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from embedders.base import EncodeOptions, Item, Modality
from embedders.evaluation import EmbeddedItems, Figure, SubjectInfo, check_source, run
from embedders.evaluation.tasks import read_params
from embedders.vectors import FloatRows
from services.runtime.child import Parent
from services.runtime.provenance import code_versions, data_hash


class RemoteSubject:
    """The server's model, asked over the pipe."""

    def __init__(self, parent: Parent, info: SubjectInfo) -> None:
        self._parent, self._info = parent, info

    @property
    def info(self) -> SubjectInfo:
        """What is known of it."""
        return self._info

    def embed(self, items: Sequence[Item], options: EncodeOptions) -> EmbeddedItems:
        """One row an item."""
        values = [_bytes(item) for item in items]
        reply = self._parent.ask(
            "embed",
            [b"".join(values)],
            modalities=[item.modality.value for item in items],
            sizes=[len(value) for value in values],
            options=asdict(options),
        )
        rows = np.frombuffer(reply.blocks[0], "<f4").reshape(len(items), self._info.dim)
        errors = {int(place): reason for place, reason in reply.fields["errors"].items()}
        return EmbeddedItems(rows, errors)

    def vocabulary(self, limit: int) -> tuple[list[str], FloatRows]:
        """Keys and rows."""
        reply = self._parent.ask("vocabulary", limit=limit)
        keys = reply.blocks[0].decode().split("\n")
        return keys, np.frombuffer(reply.blocks[1], "<f4").reshape(len(keys), self._info.dim)


def execute(parent: Parent, argument: Mapping[str, Any]) -> Mapping[str, Any]:
    """Runs `task` on `source` with `params`.

    Returns:
        "figures", "coverage", "provenance".
    """
    task, source, params = argument["task"], argument["source"], argument["params"]
    info = argument["info"]
    info = SubjectInfo(**{**info, "modalities": frozenset(map(Modality, info["modalities"]))})
    builtin = check_source(task, source)
    digest = "" if builtin else data_hash(Path(source), parent)
    found = run(RemoteSubject(parent, info), task, source, params, parent)
    return {
        "figures": [_figure(figure) for figure in found.figures],
        "coverage": found.coverage,
        "provenance": {
            "source": source or "built-in",
            "source_sha256": digest,
            "params": asdict(read_params(task, params)),
            "versions": code_versions(),
        },
    }


def items_of(block: bytes, modalities: Sequence[str], sizes: Sequence[int]) -> list[Item]:
    """The items of a question, on the server's side."""
    items = []
    for name, size, end in zip(modalities, sizes, accumulate(sizes), strict=True):
        modality, value = Modality(name), block[end - size : end]
        items.append(Item(modality, value if modality is Modality.IMAGE else value.decode()))
    return items


def _bytes(item: Item) -> bytes:
    return item.value if isinstance(item.value, bytes) else item.value.encode()


def _figure(figure: Figure) -> dict[str, Any]:
    """A figure as JSON; an interval that no resample defined is the figure itself."""
    ends = {"low": figure.low, "high": figure.high}
    known = {name: end if math.isfinite(end) else figure.value for name, end in ends.items()}
    return {"name": figure.name, "value": figure.value, **known, "items": figure.items}
