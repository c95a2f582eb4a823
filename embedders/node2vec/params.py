"""Parameters of node2vec training."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.formats.layout import StorageDtype
from embedders.node2vec.options import Delimiter, Duplicates, EdgeWeights, GraphOptions, Loops
from embedders.options import STRICT


class Trainer(StrEnum):
    """Who learns from the walks: NUMBA is our own and the fastest on a CPU; TORCH is for a GPU."""

    NUMBA = "numba"
    GENSIM = "gensim"
    TORCH = "torch"


@dataclass(frozen=True, slots=True)
class Node2VecParams:
    """Parameters, named as in the paper, whose defaults they have.

    Args:
        p, q: return and in-out parameter; 1 and 1 is DeepWalk.
        walks: from each node.
        length: nodes a walk.
        dim: numbers a vector.
        window: nodes on each side that count as context, at most.
        epochs: passes over the walks.
        negative: noise nodes a positive one.
        sample: nodes that make up more than this share of the visits are thinned out (0: not).
        alpha: learning rate at the start; 0 is the trainer's own.
        seed: of the random numbers; the vectors repeat exactly only with one thread.
        threads: workers.
        trainer: "numba", "gensim" or "torch".
        device: of the trainer "torch"; "" is a GPU where there is one.
        min_degree: nodes with fewer links are left out.
        storage: number format of the file.
        directed, weights, delimiter, header, duplicates, self_loops, variable: see GraphOptions.
    """

    __pydantic_config__: ClassVar = STRICT

    p: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    q: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    walks: Annotated[int, Field(ge=1, le=10_000)] = 10
    length: Annotated[int, Field(ge=2, le=10_000)] = 80
    dim: Annotated[int, Field(ge=1, le=4096)] = 128
    window: Annotated[int, Field(ge=1, le=100)] = 10
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    negative: Annotated[int, Field(ge=1, le=100)] = 5
    sample: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    trainer: Trainer = Trainer.NUMBA
    device: str = ""
    min_degree: Annotated[int, Field(ge=1)] = 1
    storage: StorageDtype = StorageDtype.FLOAT32
    directed: bool = False
    weights: EdgeWeights = EdgeWeights.AUTO
    delimiter: Delimiter = Delimiter.AUTO
    header: bool = False
    duplicates: Duplicates = Duplicates.REFUSE
    self_loops: Loops = Loops.KEEP
    variable: str = "network"

    @property
    def graph(self) -> GraphOptions:
        """How the graph is read."""
        return GraphOptions(**{f.name: getattr(self, f.name) for f in fields(GraphOptions)})
