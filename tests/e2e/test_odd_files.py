"""Odd files through a server: bad rows, old fastText, metadata, invisible texts, saved models."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import skimage.data
import torch
from gensim.models.fasttext import load_facebook_vectors
from gensim.test.utils import datapath
from PIL import Image
from scipy.io import savemat
from sentence_transformers import SentenceTransformer

from embedders.sentence.options import SentenceOptions
from embedders.sentence.source import model_folder
from latentspace import Client, PartialError
from services.app.local import LocalServer

ROW = "0.001230 0.298746 -0.274138 -0.890592"
SKIP = {"bad_rows": "skip"}
PROMPT = "from latentspace.cli import main; main()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("odd")
    files = {
        "blank": f"3 4\nharbour {ROW}\n  {ROW}\nisland {ROW}\n".encode(),
        "repeated": f"3 4\nharbour {ROW}\nferry {ROW}\nferry {ROW}\n".encode(),
        "latin": f"2 4\nf\xe4hre {ROW}\nharbour {ROW}\n".encode("latin-1"),
        "marked": f"\ufeffharbour {ROW}\nferry {ROW}\n".encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    packaged = SentenceTransformer(str(model_folder("", SentenceOptions())), device="cpu")
    packaged.save_pretrained(str(folder / "saved"))
    models: dict[str, dict[str, Any]] = {
        name: {"family": "word2vec", "source": str(folder / name), "options": SKIP}
        for name in files
    }
    models |= {
        "old": {"family": "word2vec", "source": datapath("lee_fasttext_new.bin"), "options": {}},
        "refused": {
            "family": "word2vec", "source": str(folder / "blank"), "options": {}, "preload": False
        },
        "sentences": {"family": "sentence", "source": "minilm", "options": {}},
        "saved": {"family": "sentence", "source": str(folder / "saved"), "options": {}},
        "clip": {"family": "clip", "source": "", "options": {}},
    }  # fmt: skip
    with LocalServer(folder / "data", {"models": models}) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


def test_bad_rows_are_passed_over_and_logged(client: Client, server: LocalServer) -> None:
    keys = {name: [p.id for p in client.scroll(name)] for name in ("blank", "repeated", "latin")}
    assert keys == {
        "blank": ["harbour", "island"],
        "repeated": ["harbour", "ferry"],
        "latin": ["harbour"],
    }
    assert [p.id for p in client.scroll("marked")] == ["harbour", "ferry"]
    log = "\n".join(server.log)
    assert log.count("1 rows passed over") == 3
    with pytest.raises(Exception, match=r"line 3: .*bad_rows: skip"):
        client.load_model("refused")


def test_fasttext_of_version_11(client: Client) -> None:
    theirs = load_facebook_vectors(datapath("lee_fasttext_new.bin"))
    keys = [key for key in theirs.index_to_key if key != "</s>"][:200]
    assert client.count("old") == 1763
    rows = np.asarray(client.embed("old", keys=keys))
    np.testing.assert_allclose(rows, [theirs[key] for key in keys], atol=1e-6)


def test_the_saved_model_is_the_space_of_the_packaged(client: Client) -> None:
    spaces = {client.model(name).space_id for name in ("sentences", "saved")}
    assert spaces == {"8623e4a5aaf511f3"}


@pytest.mark.parametrize("model", ["sentences", "clip"])
def test_invisible_texts_fail_alone(model: str, client: Client) -> None:
    texts = ["\u200b", "\0", "\ufeff", "\u00ad", "A dog on a beach."]
    with pytest.raises(PartialError, match="no visible character") as caught:
        client.embed(model, texts=texts)
    assert sorted(caught.value.errors) == [0, 1, 2, 3]


def test_large_metadata(client: Client) -> None:
    picture = Image.fromarray(skimage.data.astronaut())
    plain, profiled = io.BytesIO(), io.BytesIO()
    picture.save(plain, "PNG")
    picture.save(profiled, "PNG", icc_profile=b"x" * (2 << 20))
    images = [plain.getvalue(), profiled.getvalue()]
    left, right = np.asarray(client.embed("clip", images=images))
    np.testing.assert_allclose(left, right, atol=1e-6)


def train(path: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", PROMPT, "train", "node2vec", str(path)]
    options = ["--out", str(path.parent / "nodes.safetensors"), "--dim", "4", "--walks", "1"]
    return subprocess.run([*program, *options], capture_output=True, text=True, check=False)


def test_graph_files_at_the_prompt(tmp_path: Path) -> None:
    index = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
    weight = torch.ones(6, dtype=torch.bfloat16)
    torch.save({"edge_index": index, "edge_weight": weight}, tmp_path / "bf16.pt")
    assert "3 keys" in (done := train(tmp_path / "bf16.pt")).stdout, done.stderr
    nx.write_edgelist(nx.circulant_graph(30, [1, 7]), tmp_path / "nx.edgelist")
    assert "links 120" in (done := train(tmp_path / "nx.edgelist")).stdout, done.stderr
    savemat(tmp_path / "flip.mat", {"network": np.eye(9)}, do_compression=True)
    content = bytearray((tmp_path / "flip.mat").read_bytes())
    content[-3] ^= 0xFF
    (tmp_path / "flip.mat").write_bytes(content)
    done = train(tmp_path / "flip.mat")
    assert done.returncode != 0
    assert "flip.mat: not a MATLAB file, or damaged" in done.stderr
    assert "Traceback" not in done.stderr
