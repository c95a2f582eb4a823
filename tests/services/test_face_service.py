"""Faces through the real server."""

from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
import torch

from embedders.face.network import FaceNetwork, NetworkShape
from embedders.face.weights import save_weights
from latentspace import Client
from latentspace.errors import LatentspaceError
from services.app.local import LocalServer
from tests.embedders.face_world import encoded


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("faces")
    torch.manual_seed(0)
    network = FaceNetwork(NetworkShape(components=16, hidden=8, dim=8))
    torch.nn.init.normal_(network.whitening.turn, std=0.02)
    save_weights(folder / "model.safetensors", network, {})
    models = {"faces": {"family": "face", "source": str(folder)}, "toy": {"family": "hash"}}
    settings = {"models": models}
    with LocalServer(folder / "data", settings) as server, Client(server.address) as opened:
        yield opened
    assert server.process.returncode == 0, "\n".join(server.log)


def test_faces_of_photos_and_none(client: Client) -> None:
    one = np.asarray(skimage.data.astronaut())
    photos = [encoded(one), encoded(skimage.data.coffee()), encoded(np.hstack([one, one]))]
    reply = client.embed_batch("faces", images=photos, on_error="return")
    assert reply.index.tolist() == [0, 2, 2]
    assert len(reply.regions) == 3
    assert {region.x > 512 for region in reply.regions[1:]} == {True, False}
    assert list(reply.errors) == [1]
    error = reply.errors[1]
    assert isinstance(error, LatentspaceError)
    assert "no face" in str(error)


def test_the_model_is_listed(client: Client) -> None:
    model = client.model("faces")
    assert (model.family, model.dim) == ("face", 8)


def test_a_point_is_one_face(client: Client) -> None:
    """A photo of two fails alone, says why, and the others are written."""
    one = np.asarray(skimage.data.astronaut())
    client.create_collection("people", model="faces")
    photos = [encoded(np.hstack([one, one])), encoded(one)]
    outcome = client.upsert("people", ids=["two", "one"], images=photos, on_error="return")
    assert list(outcome.errors) == [0]
    assert "found 2 items in this input" in str(outcome.errors[0])
    assert client.count("people") == 1
