"""A collection whose model has changed under the same name is refused, and the message's cures
work."""

from pathlib import Path
from typing import Any

import pytest

from latentspace import Client, FailedPreconditionError
from services.app.local import LocalServer


def settings(seed: str) -> dict[str, Any]:
    return {"models": {"m": {"family": "hash", "options": {"seed": seed}}}}


def test_a_changed_model_is_refused_with_the_cure(tmp_path: Path) -> None:
    with LocalServer(tmp_path, settings("old")) as server, Client(server.address) as client:
        client.create_collection("c", model="m")
        client.upsert("c", ["a", "b"], texts=["a", "b"])
    with LocalServer(tmp_path, settings("new")) as server, Client(server.address) as client:
        cure = "model 'm' has changed since collection 'c' was created: name its former source"
        with pytest.raises(FailedPreconditionError, match=cure):
            client.search("c", text="a")
        with pytest.raises(FailedPreconditionError, match=cure):
            client.upsert("c", ["d"], texts=["d"])
        vectors = client.embed("m", texts=["d"])
        cure = "model of the collection, as it was when this was created"
        with pytest.raises(FailedPreconditionError, match=cure):
            client.upsert("c", ["d"], vectors=vectors)
        assert client.count("c") == 2
        # anew into another collection
        client.create_collection("anew", model="m")
        client.upsert("anew", ["a", "b"], texts=["a", "b"])
        assert client.search("anew", text="b", k=1)[0].id == "b"
    # or the former source again
    with LocalServer(tmp_path, settings("old")) as server, Client(server.address) as client:
        assert client.search("c", text="b", k=1)[0].id == "b"
