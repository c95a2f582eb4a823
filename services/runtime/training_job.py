"""In the child process of a training: train, hash the data, write the card of the model."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embedders.training import read_params, train
from services.runtime.child import Parent
from services.runtime.provenance import code_versions, data_hash

CARD = "provenance.json"
MODEL = "model.safetensors"


def run(parent: Parent, argument: Mapping[str, Any]) -> Mapping[str, Any]:
    """Trains `family` on `source` with `params` into `folder`.

    Returns:
        "file" (relative to the folder), "metrics", "warnings".
    """
    started = time.time()
    folder, source = Path(argument["folder"]), Path(argument["source"])
    family, params = argument["family"], argument["params"]
    digest = data_hash(source, parent)
    report = train(family, source, folder / MODEL, params, parent)
    file = report.path.resolve().relative_to(folder.resolve())
    card = {
        "model": argument["model"],
        "family": family,
        "file": file.as_posix(),
        "source": str(source),
        "source_sha256": digest,
        "params": asdict(read_params(family, params)),
        "versions": code_versions(),
        "keys": report.keys,
        "dim": report.dim,
        "revision": report.revision,
        "metrics": dict(report.metrics),
        "warnings": list(report.warnings),
        "started": _moment(started),
        "ended": _moment(time.time()),
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, default=str) + "\n", encoding="utf-8")
    _sync(folder)
    return {
        "file": file.as_posix(),
        "metrics": {name: float(value) for name, value in report.metrics.items()},
        "warnings": list(report.warnings),
    }


def _moment(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))


def _sync(folder: Path) -> None:
    """Brings all files to disk: what the catalogue then names is there after a power cut."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
