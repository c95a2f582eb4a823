"""The Google analogy questions through the service, beside gensim on the same vectors.

    python -m benchmarks.analogy [--vectors FILE] [--runs 3]

gensim: `KeyedVectors.evaluate_word_analogies` with its defaults, in this process. The service: a
server process of its own, one `analogy_batch` call with k = 1 over gRPC. Both use both cores as
they like. The accuracies must be equal: the answers are the same.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from benchmarks.timing import print_table
from embedders.formats import read_vocabulary
from latentspace import Client
from services.app.local import LocalServer

SHIPPED = Path(__file__).parent.parent / "embedders/minis/words-mini/model.safetensors"
QUESTIONS = "questions-words.txt"
Question = tuple[str, str, str, str]


def main() -> None:
    """Answers all questions both ways and prints times, ratio and accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, default=SHIPPED)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    keyed = gensim_vectors(args.vectors)
    questions = known_questions(set(keyed.key_to_index))
    settings = {"models": {"words": {"family": "word2vec", "source": str(args.vectors)}}}
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder), settings) as server:
        served_s, ours = time_service(server.address, questions, args.runs)
    gensim_s, theirs = time_gensim(keyed)
    # some questions stand in the file twice
    served, expected = (
        sum(question in right for question in questions) / len(questions)
        for right in (ours, theirs)
    )
    ratio = gensim_s / served_s
    print_table(
        f"{len(questions)} Google questions over {len(keyed)} words of {keyed.vector_size} numbers",
        ["", "seconds", "questions/s", "accuracy"],
        [
            ["gensim", f"{gensim_s:.2f}", f"{len(questions) / gensim_s:.0f}", f"{expected:.4%}"],
            ["service", f"{served_s:.2f}", f"{len(questions) / served_s:.0f}", f"{served:.4%}"],
            ["ratio", f"{ratio:.1f}", "", ""],
        ],
    )
    print(f"questions that the two judge differently: {len(ours ^ theirs)}")


def gensim_vectors(path: Path) -> KeyedVectors:
    """The vectors as gensim holds them."""
    vocabulary = read_vocabulary(path)
    keyed = KeyedVectors(vocabulary.dim, count=0)
    keyed.add_vectors(vocabulary.keys, np.array(vocabulary.vectors))
    return keyed


def known_questions(keys: set[str]) -> list[Question]:
    """The questions all of whose words are known, lower-cased, as gensim keeps them."""
    lines = Path(datapath(QUESTIONS)).read_text().lower().splitlines()
    split = [tuple(line.split()) for line in lines if not line.startswith(":")]
    return [(w[0], w[1], w[2], w[3]) for w in split if len(w) == 4 and keys.issuperset(w)]


def time_service(
    address: str, questions: Sequence[Question], runs: int
) -> tuple[float, set[Question]]:
    """Median seconds of a run, and the questions answered right."""
    asked = [([b, c], [a]) for a, b, c, _ in questions]
    seconds = []
    with Client(address) as client:
        for _ in range(runs):
            started = time.perf_counter()
            answers = client.analogy_batch("words", asked, k=1)
            seconds.append(time.perf_counter() - started)
    right = {q for found, q in zip(answers, questions, strict=True) if found[0].id == q[3]}
    return statistics.median(seconds), right


def time_gensim(keyed: KeyedVectors) -> tuple[float, set[Question]]:
    """Seconds of its evaluation, and the questions it answers right."""
    keyed.fill_norms()
    started = time.perf_counter()
    _, sections = keyed.evaluate_word_analogies(datapath(QUESTIONS))
    seconds = time.perf_counter() - started
    right = {tuple(word.lower() for word in q) for part in sections for q in part["correct"]}
    return seconds, right


if __name__ == "__main__":
    main()
