"""Training by gensim, from a file of walks."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec

from embedders.node2vec.blocks import Percent
from embedders.node2vec.corpus import WalkCorpus
from embedders.node2vec.params import Node2VecParams
from embedders.training import Progress
from embedders.vectors import FloatRows


def train_gensim(corpus: WalkCorpus, params: Node2VecParams, progress: Progress) -> FloatRows:
    """Vectors of the nodes, float32 (n, d); progress is told, and may cancel, after each epoch."""
    percent = Percent(progress, "train", params.epochs)
    with TemporaryDirectory() as folder:
        # gensim reads a file in parallel, but walks in memory from one thread
        path = Path(folder) / "walks.txt"
        write_walks(corpus, path)
        model = Word2Vec(
            corpus_file=str(path),
            vector_size=params.dim,
            window=params.window,
            min_count=1,
            negative=params.negative,
            sg=1,
            sample=params.sample,
            alpha=params.alpha or 0.025,
            seed=params.seed,
            workers=params.threads,
            epochs=params.epochs,
            callbacks=[_Watch(percent)],
        )
    vectors: FloatRows = np.empty_like(model.wv.vectors)
    vectors[np.array(model.wv.index_to_key, np.int64)] = model.wv.vectors
    return vectors


def write_walks(corpus: WalkCorpus, path: Path) -> None:
    """A line a walk, nodes as numbers of equal width, which numpy writes without a loop."""
    nodes = corpus.walker.nodes
    width = len(str(nodes - 1))
    tokens = np.array([f"{node:0{width}} ".encode() for node in [*range(nodes)]])
    # -1 finds the last entry
    tokens = np.append(tokens, [b" " * (width + 1)])
    with path.open("wb") as file:
        for number in range(len(corpus)):
            block = tokens[corpus.block(number)]
            lines = np.concatenate([block, np.full((len(block), 1), b"\n")], axis=1)
            file.write(lines.tobytes().replace(b"\0", b""))


class _Watch(CallbackAny2Vec):  # type: ignore[misc]
    """Tells progress after each epoch."""

    def __init__(self, percent: Percent) -> None:
        self.percent, self.epochs = percent, 0

    def on_epoch_end(self, model: Any) -> None:
        """Called by gensim."""
        self.epochs += 1
        self.percent(self.epochs)
