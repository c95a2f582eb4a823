"""One damaged record in every kind of source: it fails alone, in its place; all others are written.

Vectors are compared with those of the texts themselves, so a record that was invented, cut or
shifted shows.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentspace import Client
from tests.client.indexing.damaging import MAKERS, Vectors
from tests.client.indexing.index_world import address, client, index  # noqa: F401 fixtures

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
CASES = [(kind, damage) for kind, (_, count) in MAKERS.items() for damage in range(count)]
# what text files may hold, without what splits cells or is white space around them
LETTERS = st.text(alphabet="abcé日\u2028\x85#%'{};|", min_size=1, max_size=12)
COUNT = 5


def vector_of(client: Client, item: str | bytes | Vectors) -> Vectors:  # noqa: F811
    match item:
        case str():
            return np.asarray(client.embed("toy", texts=[item])[0], np.float32)
        case bytes():
            return np.asarray(client.embed("toy", images=[item])[0], np.float32)
    return item


def check(client: Client, folder: Path, case: tuple[str, int], texts: list[str], at: int) -> None:  # noqa: F811
    kind, damage = case
    # numbers keep texts apart, and free of white space at their ends
    texts = [f"t{i}{text}." for i, text in enumerate(texts)]
    damaged = MAKERS[kind][0](folder, texts, at, damage)
    letters = folder / "bad.jsonl"
    is_vector = any(isinstance(one, np.ndarray) for one in damaged.sound.values())
    model = () if is_vector else ("--model", "toy")
    options = (*model, "--dead-letters", str(letters), *damaged.options)
    result = index(client, damaged.path, *options)
    failures = (
        [json.loads(line) for line in letters.read_text().splitlines()] if letters.exists() else []
    )
    stored = (
        {p.id: p.vector for p in client.scroll("c", with_vectors=True)} if damaged.sound else {}
    )
    assert stored.keys() == damaged.sound.keys(), result.stderr
    for id, item in damaged.sound.items():
        np.testing.assert_allclose(np.asarray(stored[id]), vector_of(client, item), atol=1e-6)
    assert [one["place"] for one in failures] == ([damaged.place] if damaged.place else [])
    assert result.exit_code == (1 if damaged.ends or not damaged.sound else 4), result.stderr
    if damaged.sound:
        client.delete_collection("c")


@pytest.mark.parametrize("place", [0, COUNT // 2, COUNT - 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_one_damaged_record(
    client: Client,  # noqa: F811
    tmp_path: Path,
    case: tuple[str, int],
    place: int,
) -> None:
    check(client, tmp_path, case, [f"text {i}" for i in range(COUNT)], place)


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="10,000 damaged sources: LATENTSPACE_LONG=1 runs it")
@pytest.mark.timeout(0)
@settings(
    max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(CASES), st.lists(LETTERS, min_size=2, max_size=9), st.data())
def test_many_damaged_records(
    client: Client,  # noqa: F811
    tmp_path: Path,
    case: tuple[str, int],
    texts: list[str],
    data: st.DataObject,
) -> None:
    place = data.draw(st.integers(0, len(texts) - 1))
    check(client, tmp_path, case, texts, place)
