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
from embedders.evaluation.analogies import Questions
from embedders.formats import read_vocabulary, save_safetensors
from embedders.training import Progress, TrainingReport, note, silent
from embedders.vocabulary import Vocabulary
from embedders.word2vec.analogies import AnalogyScore, read_questions, score_analogies
from embedders.word2vec.corpus import Corpus, open_corpus
from embedders.word2vec.params import Architecture, PhraseScoring, Word2VecParams
from embedders.word2vec.phrases import METADATA, learn_phrases

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
        progress: told the stages "read", "phrases" (in passes), "count" and "train" (in
            epochs; where questions are given, with the figure analogies_accuracy).

    Raises:
        OptionError: the corpus is empty or damaged, no word is frequent enough, or the
            analogies cannot be read.
    """
    params = params or Word2VecParams()
    _check_phrases(params)
    questions = read_questions(params.analogies) if params.analogies else None
    progress("read", 0, 1)
    with open_corpus(corpus) as text:
        joined, phraser = learn_phrases(text, params, progress)
        watch = _Watch(params, questions, progress)
        model, metrics = _fit(joined, params, watch)
    keys = list(model.wv.index_to_key)
    counts = np.array([model.wv.get_vecattr(key, "count") for key in keys], dtype=np.int64)
    vocabulary = Vocabulary(keys, model.wv.vectors, counts)
    provenance = {
        "corpus_sha256": text.sha256,
        "corpus_lines": str(text.lines),
        "corpus_words": str(text.words),
        "corpus_lines_left_out": str(text.faulty[1]),
        "gensim": version("gensim"),
        **{name: f"{value:.6g}" for name, value in metrics.items()},
    }
    if phraser.passes:
        provenance[METADATA] = phraser.to_json()
        metrics["phrases"] = float(sum(len(found) for found in phraser.passes))
    save_safetensors(out, vocabulary, "word2vec", asdict(params), params.storage, provenance)
    # of the file as stored: int8 and float16 change the rows
    revision = read_vocabulary(out).revision
    return TrainingReport("word2vec", out, len(keys), params.dim, revision, metrics, text.notes())


def _check_phrases(params: Word2VecParams) -> None:
    low, high = (-1, 1) if params.phrase_scoring is PhraseScoring.NPMI else (0, np.inf)
    if not low < params.phrase_threshold < high:
        raise OptionError(
            "phrase_threshold",
            f"with phrase_scoring {params.phrase_scoring} it is between {low} and {high}, "
            f"not {params.phrase_threshold}",
        )


def _fit(
    text: Corpus, params: Word2VecParams, watch: "_Watch"
) -> tuple[Word2Vec, dict[str, float]]:
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
    watch.progress("count", 0, 1)
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
    metrics.update(watch.analogy_metrics())
    return trained, metrics


class _Watch(CallbackAny2Vec):  # type: ignore[misc]
    """After each epoch notes its loss, asks the analogies, and tells progress."""

    def __init__(
        self, params: Word2VecParams, questions: Questions | None, progress: Progress
    ) -> None:
        self.epochs, self.limit = params.epochs, params.analogy_vocabulary
        self.questions, self.progress = questions, progress
        self.losses: list[float] = []
        self.scores: list[AnalogyScore] = []

    def on_train_begin(self, model: Any) -> None:
        """Called by gensim."""
        self.progress("train", 0, self.epochs)

    def on_epoch_begin(self, model: Any) -> None:
        """Starts the loss from zero: gensim's float32 sum loses precision over epochs."""
        model.running_training_loss = 0.0

    def on_epoch_end(self, model: Any) -> None:
        """Called by gensim."""
        self.losses.append(float(model.get_latest_training_loss()))
        note(self.progress, epoch_loss=self.losses[-1])
        if self.questions:
            keys = model.wv.index_to_key[: self.limit or None]
            score = score_analogies(keys, model.wv.vectors[: len(keys)], self.questions)
            self.scores.append(score)
            note(self.progress, analogies_accuracy=score.accuracy)
        self.progress("train", len(self.losses), self.epochs)

    def analogy_metrics(self) -> dict[str, float]:
        """The accuracy after each epoch, and the coverage; nothing where none were asked."""
        if not self.scores:
            return {}
        epochs = {
            f"analogies_epoch_{number}": score.accuracy
            for number, score in enumerate(self.scores, 1)
        }
        last = self.scores[-1]
        return {
            **epochs,
            "analogies_accuracy": last.accuracy,
            "analogies_coverage": last.coverage,
        }
