"""Training of Word2Vec, with gensim underneath.

Skip-gram with negative sampling (Mikolov and others, "Distributed Representations of Words and
Phrases and their Compositionality", 2013) maximises, over words w and context words c,

    log s(u_c . v_w) + sum over k noise words n of log s(-u_n . v_w),   s(x) = 1 / (1 + exp(-x)),

where noise words are drawn by their count to the power 0.75. The vectors kept are the v.
"""

import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec

from embedders.errors import OptionError
from embedders.formats import read_vocabulary, save_safetensors
from embedders.training import Progress, TrainingReport, silent
from embedders.vocabulary import Vocabulary
from embedders.word2vec.corpus import Corpus, open_corpus
from embedders.word2vec.params import Architecture, Word2VecParams

NS_EXPONENT = 0.75


def train_word2vec(
    corpus: Path,
    out: Path,
    params: Word2VecParams | None = None,
    progress: Progress = silent,
) -> TrainingReport:
    """Trains vectors of words and writes them as a safetensors vocabulary.

    Args:
        corpus: UTF-8, one sentence a line, words between spaces; also .gz and .xz.
        out: the file to write; its metadata tell data, parameters and versions.
        progress: told the stages "read", "count" and "train" (in epochs).

    Raises:
        OptionError: the corpus is empty or damaged, or no word is frequent enough.
    """
    params = params or Word2VecParams()
    progress("read", 0, 1)
    with open_corpus(corpus) as text:
        model, metrics = _fit(text, params, progress)
    keys = list(model.wv.index_to_key)
    counts = np.array([model.wv.get_vecattr(key, "count") for key in keys], dtype=np.int64)
    vocabulary = Vocabulary(keys, model.wv.vectors, counts)
    provenance = {
        "corpus_sha256": text.sha256,
        "corpus_lines": str(text.lines),
        "corpus_words": str(text.words),
        "gensim": version("gensim"),
        **{name: f"{value:.6g}" for name, value in metrics.items()},
    }
    save_safetensors(out, vocabulary, "word2vec", asdict(params), params.storage, provenance)
    # of the file as stored: int8 and float16 change the rows
    revision = read_vocabulary(out).revision
    return TrainingReport("word2vec", out, len(keys), params.dim, revision, metrics)


def _fit(
    text: Corpus, params: Word2VecParams, progress: Progress
) -> tuple[Word2Vec, dict[str, float]]:
    watch = _Watch(params.epochs, progress)
    model = Word2Vec(
        vector_size=params.dim,
        window=params.window,
        min_count=params.min_count,
        negative=params.negative,
        sg=int(params.architecture is Architecture.SKIP_GRAM),
        sample=params.sample,
        alpha=params.learning_rate,
        seed=params.seed,
        workers=params.threads,
        max_final_vocab=params.max_vocabulary or None,
        ns_exponent=NS_EXPONENT,
        compute_loss=True,
    )
    progress("count", 0, 1)
    model.build_vocab(corpus_file=str(text.path))
    if not len(model.wv):
        raise OptionError(
            "min_count",
            f"none of the {text.words} words of the corpus occurs {params.min_count} times: "
            "lower min_count or bring more text",
        )
    trained, metrics = _train(model, text, params, watch)
    metrics["vocabulary"] = float(len(model.wv))
    metrics["words_trained"] = float(trained)
    return model, metrics


def _train(
    model: Word2Vec, text: Corpus, params: Word2VecParams, watch: "_Watch"
) -> tuple[int, dict[str, float]]:
    start = time.perf_counter()
    trained, raw = model.train(
        corpus_file=str(text.path),
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=params.epochs,
        compute_loss=True,
        callbacks=[watch],
    )
    seconds = time.perf_counter() - start
    metrics = {"train_seconds": seconds, "words_per_second": raw / seconds}
    if watch.losses and watch.losses[-1] > 0:
        metrics["loss_per_word"] = watch.losses[-1] * params.epochs / max(1, trained)
    return trained, metrics


class _Watch(CallbackAny2Vec):  # type: ignore[misc]
    """Tells progress after each epoch and notes its loss."""

    def __init__(self, epochs: int, progress: Progress) -> None:
        self.epochs, self.progress = epochs, progress
        self.losses: list[float] = []

    def on_train_begin(self, model: Any) -> None:
        """Called by gensim."""
        self.progress("train", 0, self.epochs)

    def on_epoch_begin(self, model: Any) -> None:
        """Starts the loss from zero: gensim's float32 sum loses precision over epochs."""
        model.running_training_loss = 0.0

    def on_epoch_end(self, model: Any) -> None:
        """Called by gensim."""
        self.losses.append(float(model.get_latest_training_loss()))
        self.progress("train", len(self.losses), self.epochs)
