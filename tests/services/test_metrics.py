"""What Prometheus is told, from the real endpoint."""

import json
import urllib.request
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from latentspace import Client
from services.app.local import LocalServer


def scrape(server: LocalServer) -> dict[tuple[str, str], float]:
    """Values by metric and its first label."""
    line = next(line for line in server.log if '"event": "metrics"' in line)
    with urllib.request.urlopen(json.loads(line)["address"]) as reply:
        text = reply.read().decode()
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = "/".join(sample.labels.values())
            found[sample.name, labels] = sample.value
    return found


def test_collections_models_and_queues_are_told(tmp_path: Path) -> None:
    settings = {
        "metrics_listen": "127.0.0.1:0",
        "models": {"toy": {"family": "hash"}, "later": {"family": "hash", "preload": False}},
    }
    with LocalServer(tmp_path, settings) as server, Client(server.address) as client:
        client.create_collection("notes", dim=4, recipe="exact")
        client.upsert("notes", ids=["a", "b", "c"], vectors=np.eye(4)[:3])
        before = scrape(server)
        client.embed("toy", texts=["one", "two"])
        after = scrape(server)
    assert after["latentspace_collection_points", "notes"] == 3
    assert after["latentspace_collection_degraded", "notes"] == 0
    assert after["latentspace_collection_segments", "notes/growing"] == 1
    assert after["latentspace_collection_disk_bytes", "notes"] > 1000
    assert after["latentspace_model_ready", "toy"] == 1
    assert after["latentspace_model_ready", "later"] == 0
    items = ("latentspace_queue_items_total", "toy")
    assert after[items] - before[items] == 2
