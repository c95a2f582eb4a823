"""Make `words-mini`, the small Word2Vec model shipped in the repository.

    python scripts/make_words_mini.py CORPUS --out model.safetensors

CORPUS is a text file (.xz or plain), lower case a-z, one sentence or review a
line, the encyclopaedic lines (Wikipedia, then Wikinews) first.

Several Word2Vec runs are trained on the same shuffled text.  Their vectors are
unit-normalised, put side by side and reduced by principal components: runs that
differ in architecture err on different words, so the joint vectors are better
than any single run's, and the result still fits a small file.

Every run is kept in the --work folder and read from there when it exists, so an
interrupted call goes on where it stopped.  gensim's threads update the weights
without locks: a second call gives a model of like quality, not the same bytes.
"""

import argparse
import json
import lzma
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gensim.models import (  # type: ignore[import-untyped, unused-ignore]
    KeyedVectors,
    Word2Vec,
)
from gensim.test.utils import datapath  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

Floats = NDArray[np.float32]

# alpha 0.05 for CBOW is the original tool's rate; gensim's 0.025 suits skip-gram.
RUNS: dict[str, dict[str, Any]] = {
    "skip-gram": {
        "sg": 1, "vector_size": 300, "window": 6, "sample": 1e-5,
        "negative": 5, "alpha": 0.025, "epochs": 7,
    },
    "cbow": {
        "sg": 0, "vector_size": 300, "window": 8, "sample": 1e-4,
        "negative": 15, "alpha": 0.05, "epochs": 6,
    },
}  # fmt: skip

# CBOW's output vectors add to its input vectors; skip-gram's made the whole worse.
BLOCKS = (("skip-gram", "input"), ("cbow", "input"), ("cbow", "output"))

# Arguments that say where things lie, not what is made: kept out of the metadata.
PATHS = ("corpus", "out", "work", "evaluate_only")


@dataclass(frozen=True)
class Text:
    """The corpus without repeated lines, and how often each word occurs in it."""

    first: list[str]
    second: list[str]
    counts: Counter[str]
    weighted: Counter[str]


def read_lines(path: Path) -> Iterator[str]:
    """Yield the corpus lines, so that the caller never needs it unpacked on disk."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def read_corpus(path: Path, head: int, repeat: int) -> Text:
    """Split the corpus at line `head` and count its words.

    Repeated lines are dropped: they are boilerplate, and reviews posted twice.
    `weighted` counts a word of the first part `repeat` times, as training does.
    """
    parts: tuple[list[str], list[str]] = ([], [])
    counters: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    seen: set[str] = {""}
    for number, line in enumerate(read_lines(path)):
        if line not in seen:
            seen.add(line)
            side = int(number >= head)
            parts[side].append(line)
            counters[side].update(line.split())
    weighted = Counter({word: repeat * n for word, n in counters[0].items()})
    weighted.update(counters[1])
    return Text(parts[0], parts[1], counters[0] + counters[1], weighted)


def write_training_text(text: Text, path: Path, repeat: int, seed: int) -> None:
    """Write the shuffled lines, the encyclopaedic ones `repeat` times.

    Shuffled, because the learning rate falls over each run: in corpus order the
    reviews alone would be learnt at the end.  No line may exceed the 10,000 words
    beyond which gensim cuts a line.
    """
    lines = text.first * repeat + text.second
    if max(line.count(" ") for line in lines) >= 10_000:
        raise ValueError("a line has over 10,000 words: split it")
    random.Random(seed).shuffle(lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(path: Path, params: dict[str, Any], args: argparse.Namespace) -> Word2Vec:
    """Train one run from the file: gensim's fastest way to feed its workers."""
    given = {**params, "epochs": args.epochs or params["epochs"]}
    return Word2Vec(
        corpus_file=str(path),
        min_count=args.min_count,
        workers=args.workers,
        seed=args.seed,
        ns_exponent=0.75,
        **given,
    )


def make_run(name: str, training: Path, args: argparse.Namespace) -> None:
    """Train a run and keep both its matrices, unless the work folder has them."""
    path: Path = args.work / f"{name}.safetensors"
    if path.exists():
        return
    start = time.time()
    model = train(training, RUNS[name], args)
    keys = np.frombuffer("\n".join(model.wv.index_to_key).encode(), np.uint8)
    vectors = {"input": model.wv.vectors, "output": model.syn1neg}
    save_file({"keys": keys, **vectors}, path)
    print(f"{name}: {time.time() - start:.0f} s", flush=True)


def read_block(name: str, side: str, words: list[str], work: Path) -> Floats:
    """Give the rows of the words in one matrix of a run, centred, of length one."""
    with safe_open(work / f"{name}.safetensors", framework="np") as file:
        known = file.get_tensor("keys").tobytes().decode().split("\n")
        vectors = file.get_tensor(side)
    index = {word: i for i, word in enumerate(known)}
    return centred_unit(vectors[[index[word] for word in words]])


def unit(rows: Floats) -> Floats:
    """Scale rows to length one: a run's weight must not depend on its norms."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), dtype=np.float32)


def centred_unit(rows: Floats) -> Floats:
    """Take off the mean that all words share, which says nothing about any of them."""
    normed = unit(rows)
    return unit(normed - normed.mean(axis=0))


def reduce(rows: Floats, dim: int) -> Floats:
    """Keep the `dim` leading principal components (the rest is mostly noise)."""
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    return unit((centred @ axes[:, ::-1][:, :dim]).astype(np.float32))


def quantise(rows: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Give int8 rows and their scales: row = int8 * scale."""
    scales = (np.abs(rows).max(axis=1) / 127).astype(np.float32)
    whole = np.rint(rows / scales[:, None]).astype(np.int8)
    return whole, scales


def shipped_words(text: Text, size: int) -> list[str]:
    """Choose the words by weighted count, in descending order of corpus count.

    By plain count film words would displace place names and currencies.  Ties go
    by spelling, so that the choice is the same on every machine.
    """
    ranked = sorted(text.weighted, key=lambda word: (-text.weighted[word], word))
    return sorted(ranked[:size], key=lambda word: (-text.counts[word], word))


def save_model(
    path: Path, words: list[str], rows: Floats, text: Text, args: argparse.Namespace
) -> None:
    """Write the vocabulary file; its metadata say how it was made."""
    vectors, scales = quantise(rows)
    counts = np.array([text.counts[word] for word in words], np.uint32)
    settings = vars(args).items()
    params = {k: v for k, v in settings if k not in PATHS}
    metadata = {
        "format": "latentspace-vocabulary",
        "version": "1",
        "family": "word2vec",
        "license": "vectors derived from CC BY-SA, CC BY and research-use text",
        "trained_on": "38.5 M words: English Wikipedia, Wikinews, movie reviews",
        "params": json.dumps({**params, "runs": RUNS, "blocks": BLOCKS}, sort_keys=True),
    }
    tensors: dict[str, NDArray[Any]] = {
        "vectors": vectors,
        "scales": scales,
        "keys": np.frombuffer("\n".join(words).encode(), np.uint8),
        "counts": counts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    path.chmod(0o644)  # save_file leaves it readable by its owner alone


def load_model(path: Path) -> KeyedVectors:
    """Read the shipped file back, so that the evaluation sees what users get."""
    with safe_open(path, framework="np") as file:
        vectors, scales = file.get_tensor("vectors"), file.get_tensor("scales")
        words = file.get_tensor("keys").tobytes().decode().split("\n")
    loaded = KeyedVectors(vector_size=vectors.shape[1])
    loaded.add_vectors(words, vectors.astype(np.float32) * scales[:, None])
    return loaded


def evaluate(path: Path) -> None:
    """Print the model's figures on the three sets that come with gensim."""
    loaded = load_model(path)
    questions = datapath("questions-words.txt")
    with open(questions, encoding="utf-8") as file:
        asked = sum(not line.startswith(":") for line in file)
    _, sections = loaded.evaluate_word_analogies(questions, case_insensitive=True)
    grammar = [s for s in sections if s["section"].startswith("gram")]
    meaning = [s for s in sections[:-1] if s not in grammar]
    print_sections("semantic", meaning)
    print_sections("syntactic", grammar)
    for section in sections:
        print_sections(section["section"], [section])
    total = sections[-1]
    answered = len(total["correct"]) + len(total["incorrect"])
    print(f"coverage {answered}/{asked} = {answered / asked:.4f}")
    for name in ("wordsim353.tsv", "simlex999.txt"):
        _, spearman, unknown = loaded.evaluate_word_pairs(datapath(name))
        print(f"{name}: Spearman {spearman[0]:.4f}, OOV {unknown:.2f} %")


def print_sections(name: str, sections: list[dict[str, Any]]) -> None:
    """Print one line of analogy accuracy over the sections given."""
    right = sum(len(section["correct"]) for section in sections)
    asked = right + sum(len(section["incorrect"]) for section in sections)
    print(f"{name}: {right}/{asked} = {right / max(asked, 1):.4f}")


def parse_args() -> argparse.Namespace:
    """Read the command line; the defaults are those of the shipped file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("words-mini-work"))
    parser.add_argument("--head", type=int, default=337_117, help="lines weighed up")
    parser.add_argument("--repeat", type=int, default=3, help="times they are read")
    parser.add_argument("--epochs", type=int, help="instead of each run's own number")
    parser.add_argument("--min-count", type=int, default=10)
    parser.add_argument("--words", type=int, default=45_000)
    parser.add_argument("--dim", type=int, default=248)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evaluate-only", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Make the model (unless told not to) and print its figures."""
    args = parse_args()
    if not args.evaluate_only:
        args.work.mkdir(parents=True, exist_ok=True)
        text = read_corpus(args.corpus, args.head, args.repeat)
        training = args.work / "training.txt"
        if not training.exists():
            write_training_text(text, training, args.repeat, args.seed)
        words = shipped_words(text, args.words)
        for name in RUNS:
            make_run(name, training, args)
        blocks = [read_block(*block, words, args.work) for block in BLOCKS]
        rows = reduce(np.concatenate(blocks, axis=1), args.dim)
        save_model(args.out, words, rows, text, args)
    evaluate(args.out)


if __name__ == "__main__":
    main()
