"""A family of models that break while a file exists, installed as a package of a third party."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLUGIN = """
import time
from pathlib import Path

from embedders.hashing import HashEncoder, HashOptions


class Fragile(HashEncoder):
    @classmethod
    def load(cls, model_id, source, options):
        encoder = cls(model_id, HashOptions())
        encoder.folder = Path(source)
        return encoder

    def prepare(self, item, options):
        self.wait("block-prepare")
        return super().prepare(item, options)

    def _forward(self, batch, options):
        self.wait("block")
        if any(b"stuck" in prepared.data for prepared in batch):
            self.wait("block-stuck")
        if (self.folder / "fail").exists():
            raise RuntimeError("the device is gone")
        return super()._forward(batch, options)

    def wait(self, name):
        while (self.folder / name).exists():
            time.sleep(0.01)
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the family known to server processes that are started from here."""
    (folder / "fragile_models.py").write_text(PLUGIN)
    info = folder / "fragile_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[latentspace.families]\nfragile = fragile_models:Fragile\n"
    )
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{path}" if path else str(folder))


@contextmanager
def broken(folder: Path, how: str) -> Iterator[None]:
    """Breaks the models of a folder for a while."""
    (folder / how).touch()
    try:
        yield
    finally:
        (folder / how).unlink()
