"""A CLIP model behind the real server: raw images in, searches across texts and images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from embedders import Encoder, load
from latentspace import Client, image, point, text
from latentspace.errors import FailedPreconditionError, InvalidArgumentError
from services.app.local import LocalServer
from tests.embedders.clip_models import embed, pictures, png, save_tiny

CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    save_tiny(path)
    return path


@pytest.fixture(scope="module")
def clip_server(folder: Path) -> Iterator[LocalServer]:
    models = {
        "clip": {"family": "clip", "source": str(folder), "options": CPU},
        "toy": {"family": "hash"},
    }
    with LocalServer(folder / "data", {"models": models}) as running:
        yield running
    assert running.process.returncode == 0, "\n".join(running.log)


@pytest.fixture
def client(clip_server: LocalServer) -> Iterator[Client]:
    with Client(clip_server.address) as opened:
        yield opened


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load("clip", "clip", str(folder), CPU)


def test_the_model_tells_what_it_is(client: Client, encoder: Encoder) -> None:
    model = client.model("clip")
    assert model.family == "clip"
    assert {str(kind) for kind in model.modalities} == {"text", "image"}
    assert model.space_id == encoder.info.space_id
    assert model.logit_scale == pytest.approx(encoder.info.logit_scale)
    assert model.limits.max_image_bytes == 20 << 20


def test_images_as_bytes_paths_pictures_and_pixels(
    client: Client, encoder: Encoder, tmp_path: Path
) -> None:
    one, *_ = pictures(1)
    path = tmp_path / "one.png"
    path.write_bytes(png(one))
    rows = client.embed("clip", images=[png(one), path, str(path), one, np.asarray(one)])
    np.testing.assert_allclose(rows, np.repeat(embed(encoder, [one]), 5, axis=0), atol=1e-6)


def test_many_images_keep_their_order(client: Client, encoder: Encoder) -> None:
    different = pictures(4)
    order = np.random.default_rng(2).integers(0, 4, 150)
    rows = client.embed("clip", images=[png(different[i]) for i in order])
    np.testing.assert_allclose(rows, embed(encoder, different)[order], atol=1e-5)


def test_texts(client: Client, encoder: Encoder) -> None:
    texts = [f"a photo of {i} dogs" for i in range(40)]
    np.testing.assert_allclose(client.embed("clip", texts=texts), embed(encoder, texts), atol=1e-5)
    reply = client.embed_batch("clip", texts=["a cat", "word " * 40])
    assert list(reply.token_counts) == [4, 42]
    assert list(reply.truncated) == [1]


def test_a_bad_image_fails_alone_with_its_reason(client: Client, encoder: Encoder) -> None:
    files = [png(picture) for picture in pictures(4)] * 5
    files[3] = files[3][:100]
    files[11] = b"no image"
    reply = client.embed_batch("clip", images=files, on_error="return")
    assert sorted(reply.errors) == [3, 11]
    assert "truncated" in str(reply.errors[3])
    assert "JPEG, PNG" in str(reply.errors[11])
    assert len(reply.rows) == 18
    expected = embed(encoder, pictures(4) * 5)
    np.testing.assert_allclose(reply.rows, np.delete(expected, [3, 11], axis=0), atol=1e-5)


def test_search_across_texts_and_images(client: Client, encoder: Encoder) -> None:
    images, texts = pictures(4), ["a cat", "a dog", "the sea"]
    client.create_collection("both", model="clip", recipe="exact", fields={"n": "int"})
    client.upsert(
        "both",
        ids=[f"image{i}" for i in range(4)],
        images=[png(p) for p in images],
        payloads=[{"n": i} for i in range(4)],
    )
    client.upsert(
        "both",
        ids=[f"text{i}" for i in range(3)],
        texts=texts,
        payloads=[{"n": i} for i in range(3)],
    )
    ids = [*(f"image{i}" for i in range(4)), *(f"text{i}" for i in range(3))]
    stored = np.concatenate([embed(encoder, images), embed(encoder, texts)])
    one, two = embed(encoder, ["a red car"])[0], stored[2]

    def expected(query: np.ndarray) -> list[str]:
        query = query / np.linalg.norm(query)
        return [ids[i] for i in np.argsort(-(stored @ query), kind="stable")]

    found = client.search("both", text="a red car", k=7)
    assert [match.id for match in found] == expected(one)
    assert [match.modality for match in found] == [match.id.rstrip("0123456789") for match in found]
    found = client.search("both", text="a red car", filter={"modality": "image", "n": {"gte": 1}})
    assert [match.id for match in found] == [
        point_id for point_id in expected(one) if point_id in ("image1", "image2", "image3")
    ]
    found = client.search("both", image=png(images[2]), k=7)
    assert [match.id for match in found] == expected(two)
    assert found[0].score == pytest.approx(1, abs=1e-5)
    found = client.search(
        "both", query=[(1.0, image(png(images[2]))), (0.5, text("a red car"))], k=7
    )
    assert [match.id for match in found] == expected(two + 0.5 * one)


def test_pages_of_a_large_image(client: Client) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    client.create_collection("paged", model="clip", recipe="exact")
    client.upsert("paged", ids=[f"t{i}" for i in range(7)], texts=[f"text {i}" for i in range(7)])
    whole = [match.id for match in client.search("paged", image=noise, k=7)]
    pages = list(client.search_pages("paged", image=noise, k=3))
    assert [[match.id for match in page] for page in pages] == [whole[:3], whole[3:6], whole[6:]]


@pytest.mark.parametrize("method", ["3CosAdd", "3CosMul", "PairDirection"])
def test_analogies_across_texts_and_images(client: Client, encoder: Encoder, method: str) -> None:
    """This is to that as another image is to what: the same mechanism as for words."""
    images, texts = pictures(4), ["a cat", "a dog", "the sea", "a red car"]
    name = f"pairs-{method}"
    client.create_collection(name, model="clip", recipe="exact")
    client.upsert(name, ids=[f"image{i}" for i in range(4)], images=[png(p) for p in images])
    client.upsert(name, ids=texts, texts=texts)
    stored = np.concatenate([embed(encoder, images), embed(encoder, texts)]).astype(np.float64)
    ids = [*(f"image{i}" for i in range(4)), *texts]
    b, c, a = stored[1], embed(encoder, ["winter"])[0], embed(encoder, ["summer"])[0]
    if method == "3CosAdd":
        scores = stored @ (b + c - a) / np.linalg.norm(b + c - a)
    elif method == "3CosMul":
        shifted = [(1 + stored @ row) / 2 for row in (b, c, a)]
        scores = shifted[0] * shifted[1] / (shifted[2] + 1e-6)
    else:
        moved = stored - c
        scores = moved @ (b - a) / np.linalg.norm(moved, axis=1) / np.linalg.norm(b - a)
    found = client.analogy(
        name, [point("image1"), text("winter")], [text("summer")], k=8, method=method
    )
    order = [i for i in np.argsort(-scores, kind="stable") if ids[i] != "image1"]
    assert [match.id for match in found] == [ids[i] for i in order]
    np.testing.assert_allclose([match.score for match in found], scores[order], atol=1e-5)


def test_points_of_another_space_are_refused(client: Client) -> None:
    client.create_collection("mine", model="clip")
    row = client.embed("clip", texts=["a cat"])
    assert client.model("toy").space_id != client.model("clip").space_id
    with pytest.raises(InvalidArgumentError):
        client.upsert("mine", ids=["a"], vectors=np.concatenate([row, row], axis=1))


def test_unload_and_load_give_the_same_rows(client: Client) -> None:
    before = client.embed("clip", texts=["a cat"])
    client.unload_model("clip")
    client.load_model("clip")
    np.testing.assert_array_equal(client.embed("clip", texts=["a cat"]), before)


def test_a_collection_of_the_former_default_is_refused_with_the_cure(tmp_path: Path) -> None:
    former = {"models": {"clip": {"family": "clip", "source": "clip-mini", "options": CPU}}}
    present = {"models": {"clip": {"family": "clip", "options": CPU}}}
    with LocalServer(tmp_path, former) as running, Client(running.address) as ls:
        old = ls.model("clip").space_id
        ls.create_collection("photos", model="clip", recipe="exact")
        ls.upsert("photos", ids=["cat", "sea"], texts=["a cat", "the sea"])
    with LocalServer(tmp_path, present) as running, Client(running.address) as ls:
        new = ls.model("clip").space_id
        with pytest.raises(FailedPreconditionError) as refused:
            ls.search("photos", text="a cat", k=1)
        with pytest.raises(FailedPreconditionError, match="source: clip-mini"):
            ls.upsert("photos", ids=["dog"], images=[png(pictures(1)[0])])
        with pytest.raises(FailedPreconditionError, match="as it was when this was created"):
            ls.search("photos", vector=ls.embed("clip", texts=["a cat"])[0], k=1)
    message = str(refused.value)
    assert old != new
    for part in (old, new, "collection 'photos'", "another collection", "source: clip-mini"):
        assert part in message
    with LocalServer(tmp_path, former) as running, Client(running.address) as ls:
        assert ls.search("photos", text="a cat", k=1)[0].id == "cat"
