"""Who is in the photos: both clients and the command line against the server itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from latentspace import Client, FailedPreconditionError, InvalidArgumentError, PartialError
from latentspace.cli.app import app
from latentspace.tables import to_pandas

torch = pytest.importorskip("torch", reason="torch is not installed")
local = pytest.importorskip("services.app.local", reason="the server is not installed")

THRESHOLD = 0.75
ASTRONAUT = np.asarray(skimage.data.astronaut())
BROKEN = b"no image at all"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from embedders.face.network import FaceNetwork, NetworkShape
    from embedders.face.weights import save_weights

    folder: Path = tmp_path_factory.mktemp("faces")
    torch.manual_seed(0)
    network = FaceNetwork(NetworkShape(components=16, hidden=8, dim=8))
    torch.nn.init.normal_(network.whitening.turn, std=0.02)
    known = {"thresholds": json.dumps({"best": {"threshold": THRESHOLD, "far": 0.01}})}
    save_weights(folder / "calibrated" / "model.safetensors", network, known)
    save_weights(folder / "bare" / "model.safetensors", network, {})
    models = {
        name: {"family": "face", "source": str(folder / name)} for name in ("calibrated", "bare")
    }
    models["toy"] = {"family": "hash"}
    with local.LocalServer(folder / "data", {"models": models}) as running:
        with Client(running.address) as client:
            fill(client)
        yield running.address


def face(client: Client) -> Any:
    """The vector of the astronaut's face, (8,)."""
    return client.embed_batch("calibrated", images=[ASTRONAUT]).rows[0]


def beside(row: Any, cosine: float) -> Any:
    """A unit vector at this cosine from a row."""
    unit = row / np.linalg.norm(row)
    other = np.roll(unit, 1) - (np.roll(unit, 1) @ unit) * unit
    return cosine * unit + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


def fill(client: Client) -> None:
    """Galleries in which the nearest points of the astronaut's face are at known cosines."""
    row = face(client)
    for name, model, metric in (
        ("known", "calibrated", "cosine"),
        ("strangers", "calibrated", "cosine"),
        ("uncalibrated", "bare", "cosine"),
        ("by_l2", "calibrated", "l2"),
    ):
        client.create_collection(name, model=model, metric=metric, fields={"team": "keyword"})
        nearest = 0.5 if name == "strangers" else 0.9
        client.upsert(
            name,
            ["p1", "p2", "p3"],
            vectors=np.array([beside(row, c) for c in (nearest, 0.4, -1.0)]),
            payloads=[{"person": "Eileen", "team": "a"}, {"person": 7, "team": "b"}, {"team": "a"}],
        )
    client.create_collection("empty", model="calibrated")


def two_faces() -> Any:
    return np.hstack([ASTRONAUT, ASTRONAUT])


def test_faces_of_photos(client: Client) -> None:
    photos = [ASTRONAUT, skimage.data.coffee(), two_faces()]
    batch = client.embed_batch("calibrated", images=photos, on_error="return", role="query")
    found = client.identify("known", images=photos, label="person", k=2)
    assert [len(faces) for faces in found] == [1, 0, 2]
    gallery = client.get("known", ["p1", "p2"], with_vectors=True)
    for row, region, one in zip(batch.rows, batch.regions, [*found[0], *found[2]], strict=True):
        cosines = [float(point.vector @ row) for point in gallery if point.vector is not None]
        assert (one.id, one.name, one.threshold) == ("p1", "Eileen", THRESHOLD)
        assert one.region == region
        assert [match.id for match in one.nearest] == ["p1", "p2"]
        np.testing.assert_allclose([m.score for m in one.nearest], cosines, atol=1e-5)
        assert one.score == one.nearest[0].score
    assert found[0][0].score == pytest.approx(0.9, abs=1e-5)
    assert {one.region.x > 512 for one in found[2] if one.region} == {True, False}


def test_the_unknown(client: Client) -> None:
    stranger = client.identify("strangers", images=[ASTRONAUT])[0][0]
    assert (stranger.id, stranger.name) == (None, None)
    assert stranger.score == pytest.approx(0.5, abs=1e-5)
    assert [match.id for match in stranger.nearest] == ["p1"]
    nobody = client.identify("empty", images=[ASTRONAUT])[0][0]
    assert (nobody.id, nobody.score, nobody.nearest) == (None, -np.inf, ())


def test_thresholds(client: Client) -> None:
    """The caller's own goes before the model's; without either the cure is named."""
    assert client.identify("strangers", images=[ASTRONAUT], threshold=0.45)[0][0].id == "p1"
    assert client.identify("known", images=[ASTRONAUT], threshold=0.95)[0][0].id is None
    for name, problem in (("uncalibrated", "no calibrated threshold"), ("by_l2", "is a cosine")):
        with pytest.raises(InvalidArgumentError, match=rf"{problem}.*pass threshold="):
            client.identify(name, images=[ASTRONAUT])
    near = client.identify("by_l2", images=[ASTRONAUT], threshold=-0.3)[0][0]
    # rows of unit length: minus the squared distance is twice the cosine minus two
    assert near.id == "p1"
    assert near.score == pytest.approx(2 * 0.9 - 2, abs=1e-4)


def test_names(client: Client) -> None:
    known = client.identify("known", images=[ASTRONAUT])[0][0]
    assert (known.id, known.name) == ("p1", "p1")
    number = client.identify(
        "known", images=[ASTRONAUT], label="person", filter={"team": "b"}, threshold=0.3
    )
    assert (number[0][0].id, number[0][0].name) == ("p2", "7")
    with pytest.raises(InvalidArgumentError, match="field 'no such field'; there are: person"):
        client.identify("known", images=[ASTRONAUT], label="no such field")


def test_crops(client: Client) -> None:
    """A crop is a face as a whole: nothing is detected, and no region is told."""
    crop = ASTRONAUT[70:180, 170:280]
    row = client.embed("calibrated", image=crop, cropped=True)
    found = client.identify("known", images=[crop], cropped=True, threshold=-1.0)[0][0]
    gallery = client.get("known", ["p1", "p2", "p3"], with_vectors=True)
    best = max(float(point.vector @ row) for point in gallery if point.vector is not None)
    assert found.score == pytest.approx(best, abs=1e-5)
    assert found.region is None


def test_photos_that_fail(client: Client) -> None:
    photos: list[Any] = [BROKEN, ASTRONAUT, skimage.data.coffee()]
    with pytest.raises(PartialError) as caught:
        client.identify("known", images=photos)
    assert list(caught.value.errors) == [0]
    result: Any = caught.value.result
    assert [[face.id for face in faces] for faces in result] == [[], ["p1"], []]
    returned = client.identify("known", images=photos, on_error="return")
    assert [[face.id for face in faces] for faces in returned] == [[], ["p1"], []]
    with pytest.raises(InvalidArgumentError):
        client.identify("known", images=[BROKEN])
    assert client.identify("known", images=[skimage.data.coffee()]) == [[]]


def test_other_models(client: Client) -> None:
    client.create_collection("topics", model="toy")
    client.upsert("topics", ["sea", "hills"], texts=["waves of the sea", "high green hills"])
    found = client.identify("topics", texts=["the sea waves", "stone"], threshold=0.5)
    assert [[one.name for one in row] for row in found] == [["sea"], [None]]
    assert found[0][0].region is None
    query, stored = client.embed("toy", texts=["the sea waves", "waves of the sea"])
    assert found[0][0].score == pytest.approx(float(query @ stored), abs=1e-5)
    client.delete_collection("topics")
    client.create_collection("raw", dim=3)
    with pytest.raises(FailedPreconditionError, match="no model"):
        client.identify("raw", texts=["a"], threshold=0.5)
    client.delete_collection("raw")


def test_tables(client: Client) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    photos = [skimage.data.coffee(), two_faces()]
    frame = to_pandas(client.identify("known", images=photos, label="person"))
    assert frame["input"].tolist() == [1, 1]
    assert frame["name"].tolist() == ["Eileen", "Eileen"]
    assert sorted(frame["x"] > 512) == [False, True]


def test_command_line(address: str, tmp_path: Path) -> None:
    Image.fromarray(ASTRONAUT).save(tmp_path / "a.png")
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "b.png")
    run = CliRunner().invoke
    call = ["identify", "known", str(tmp_path), "--label", "person", "--server", address]
    done = run(app, [*call, "--json"])
    assert done.exit_code == 0, done.output
    assert f"{tmp_path}/b.png: nothing was found" in done.stderr
    (one,) = map(json.loads, done.stdout.splitlines())
    assert (one["input"], one["name"], one["id"]) == (f"{tmp_path}/a.png", "Eileen", "p1")
    assert one["region"]["width"] > 0
    piped = run(app, [*call, "--threshold", "0.99"])
    path, name, score, box = piped.stdout.rstrip("\n").split("\t")
    assert (path, name) == (f"{tmp_path}/a.png", "unknown")
    assert float(score) == pytest.approx(0.9, abs=1e-4)
    assert "x" in box
    (tmp_path / "c.png").write_bytes(BROKEN)
    partial = run(app, call)
    assert (partial.exit_code, "c.png" in partial.stderr) == (4, True)
    bare = run(app, ["identify", "uncalibrated", str(tmp_path), "--server", address])
    assert (bare.exit_code, "pass threshold=" in bare.stderr) == (1, True)
