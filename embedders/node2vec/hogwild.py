"""Our own trainer: compiled skip-gram in threads that share the matrices without locks."""

import numpy as np
from numpy.typing import NDArray

from embedders.node2vec.alias import alias_table
from embedders.node2vec.blocks import Percent, run_blocks
from embedders.node2vec.corpus import WalkCorpus
from embedders.node2vec.params import Node2VecParams
from embedders.node2vec.skipgram import Settings, Weights, sigmoid_table, train_walks
from embedders.training import Progress
from embedders.vectors import FloatRows

ALPHA = 0.025
LAST_ALPHA = 1e-4
NS_EXPONENT = 0.75


def train_hogwild(corpus: WalkCorpus, params: Node2VecParams, progress: Progress) -> FloatRows:
    """Vectors of the nodes, float32 (n, d); bit for bit the same again with one thread."""
    weights = start_weights(corpus.visits, params)
    blocks, total = len(corpus), len(corpus) * params.epochs
    seeds = np.random.SeedSequence((params.seed, 1)).generate_state(params.epochs, np.uint64)
    alpha = params.alpha or ALPHA

    def rate(done: int) -> float:
        return alpha + (min(alpha, LAST_ALPHA) - alpha) * done / total

    def work(step: int) -> None:
        epoch, number = divmod(step, blocks)
        settings = Settings(params.window, params.negative, rate(step), rate(step + 1))
        first = number * corpus.walker.block_walks
        train_walks(weights, settings, seeds[epoch], first, corpus.block(number))

    run_blocks(work, total, params.threads, Percent(progress, "train", total))
    return weights.inner


def start_weights(visits: NDArray[np.int64], params: Node2VecParams) -> Weights:
    """The matrices as gensim starts them, within 1/d of 0, and the tables of a corpus."""
    n, d = len(visits), params.dim
    rng = np.random.default_rng(params.seed)
    inner = (2 * rng.random((n, d), dtype=np.float32) - 1) / np.float32(d)
    keep, other = alias_table(visits.astype(np.float64) ** NS_EXPONENT)
    outer = np.zeros((n, d), np.float32)
    chances = keep_chances(visits, params.sample)
    return Weights(inner, outer, keep, other, chances, sigmoid_table())


def keep_chances(visits: NDArray[np.int64], sample: float) -> NDArray[np.float32]:
    """Chances with which visits are kept, sqrt(s / f) + s / f for a node of share f, as word2vec.

    float32 (n,), at most 1; all 1 where `sample` is 0.
    """
    if not sample:
        return np.ones(len(visits), np.float32)
    share = sample * visits.sum() / visits
    return np.asarray(np.minimum(1, np.sqrt(share) + share), np.float32)
