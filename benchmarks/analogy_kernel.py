"""Analogies by the kernel against gensim's evaluate_word_analogies, on the same vectors.

    python -m benchmarks.analogy_kernel [MODEL] [--questions 2000] [--rows 40000] [--dim 280]

MODEL is a word2vec file (.bin, .txt, .gz) as gensim reads it; without one, vectors are random.
Questions take their words from the 900 most frequent, as Google's do. gensim answers a sample of
them, since it takes minutes for all; the ratio is of the rates.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors

from benchmarks.timing import print_table
from embedders.vectors import normalize_rows
from index.analogy import AnalogyMethod, Terms, analogies
from index.types import CollectionSpec
from index.vocabulary import VocabularyCollection

GOOGLE_QUESTIONS = 19_544
WORDS = 900


def main() -> None:
    """Times both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--questions", type=int, default=2000, help="asked of gensim")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--dim", type=int, default=280)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    vectors = read(args.model) if args.model else invent(args.rows, args.dim)
    asked = np.random.default_rng(1).integers(0, WORDS, (GOOGLE_QUESTIONS, 4))
    asked = asked[[len(set(row[:3].tolist())) == 3 for row in asked]]
    sample = asked[: args.questions]
    gensim_s = time_gensim(vectors, sample)
    rows = []
    for method in AnalogyMethod:
        for k in (1, 10):
            seconds, same = time_kernel(vectors, asked, sample, method, k, args.threads)
            ratio = (len(asked) / seconds) / (len(sample) / gensim_s)
            agreed = f"{same:.4f}" if method is AnalogyMethod.COS_ADD else ""
            rows.append((method, k, f"{seconds:.2f}", f"{ratio:.0f}", agreed))
    print(f"gensim evaluate_word_analogies: {len(sample)} questions in {gensim_s:.1f} s")
    print_table(
        f"{len(asked)} questions, {len(vectors)} x {vectors.vector_size}, {args.threads} threads",
        ("method", "k", "seconds", "rate over gensim's", "same first answer"),
        rows,
    )


def read(path: Path) -> KeyedVectors:
    """A word2vec file."""
    return KeyedVectors.load_word2vec_format(str(path), binary=".bin" in path.suffixes)


def invent(rows: int, dim: int) -> KeyedVectors:
    """Random vectors."""
    vectors = KeyedVectors(dim)
    matrix = np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32)
    vectors.add_vectors([f"W{number}" for number in range(rows)], matrix)
    return vectors


def time_gensim(vectors: KeyedVectors, questions: np.ndarray) -> float:
    """Seconds of its evaluation of a question file."""
    keys = vectors.index_to_key
    lines = [" ".join(keys[place] for place in row) for row in questions.tolist()]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(": all\n" + "\n".join(lines) + "\n")
        file.flush()
        started = time.perf_counter()
        vectors.evaluate_word_analogies(file.name, restrict_vocab=len(keys), case_insensitive=False)
        return time.perf_counter() - started


def time_kernel(
    vectors: KeyedVectors,
    asked: np.ndarray,
    sample: np.ndarray,
    method: AnalogyMethod,
    k: int,
    threads: int,
) -> tuple[float, float]:
    """Seconds for all questions, and the share of a few whose first answer is gensim's."""
    keys = vectors.index_to_key
    spec = CollectionSpec(vectors.vector_size)
    words = VocabularyCollection("words", keys, vectors.vectors, spec)
    inputs = normalize_rows(vectors.vectors[:WORDS])
    started = time.perf_counter()
    terms: list[Terms] = [[(b, 1.0), (c, 1.0), (a, -1.0)] for a, b, c, _ in asked.tolist()]
    excluded = [[keys[place] for place in row[:3]] for row in asked.tolist()]
    hits = analogies(words, inputs, terms, k, method, excluded=excluded, threads=threads)
    seconds = time.perf_counter() - started
    firsts = hits.points.ids[::k]
    few = sample[:50].tolist()
    theirs = [
        vectors.most_similar([keys[b], keys[c]], [keys[a]], topn=1)[0][0] for a, b, c, _ in few
    ]
    same = sum(one == other for one, other in zip(firsts, theirs, strict=False))
    return seconds, same / len(few)


if __name__ == "__main__":
    main()
