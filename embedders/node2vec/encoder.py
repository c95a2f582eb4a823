"""Vectors of graph nodes from a file of any known format."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from embedders.errors import OptionError
from embedders.formats import BadRows
from embedders.lookup import LookupEncoder, load_vocabulary
from embedders.node2vec.neighbours import Neighbours
from embedders.options import STRICT, NamesFile, read_options
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Node2VecOptions:
    """Options of a model.

    Args:
        limit: keep only the first keys of the file (0: all).
        bad_rows: "skip" passes over rows that cannot be used, and logs how many.
        edges: a graph file with the edges of nodes that have no vector; such a node is then
            averaged from its neighbours where a call asks for it ("": none).
    """

    __pydantic_config__: ClassVar = STRICT

    limit: Annotated[int, Field(ge=0)] = 0
    bad_rows: BadRows = BadRows.REFUSE
    edges: Annotated[str, NamesFile()] = ""


class Node2VecEncoder(LookupEncoder):
    """Nodes to vectors; the default is the shipped `nodes-mini`.

    With `compose_unknown` an unseen node is the mean of its neighbours' vectors, weighted by its
    edges to them; its `Prepared.composed` says so.
    """

    options_type: ClassVar[type[Any]] = Node2VecOptions

    family: ClassVar[str] = "node2vec"
    default_source: ClassVar[str] = "nodes-mini"
    composed_of: ClassVar[str] = "its neighbours"

    def __init__(
        self, model_id: str, vocabulary: Vocabulary, neighbours: Neighbours | None = None
    ) -> None:
        super().__init__(model_id, vocabulary)
        self.neighbours = neighbours
        if neighbours is not None:
            memory = self.info.memory_bytes + neighbours.nbytes
            self.info = replace(self.info, memory_bytes=memory)

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> Self:
        """A model of a vocabulary file or a shipped model's name.

        Raises:
            ModelFormatError, OptionError
            MissingExtraError: `edges` is of a kind that needs a package.
        """
        read = read_options(Node2VecOptions, options, f"model {model_id!r}")
        source = source or cls.default_source
        vocabulary = load_vocabulary(model_id, source, read.limit, read.bad_rows)
        if not read.edges:
            return cls(model_id, vocabulary)
        try:
            neighbours = Neighbours.read(Path(read.edges).expanduser(), vocabulary)
        except OptionError as error:
            raise OptionError("edges", f"model {model_id!r}: edges: {error}") from error
        return cls(model_id, vocabulary, neighbours)

    def compose(self, key: str) -> FloatRows | None:
        """The mean of the rows of an unseen node's neighbours, float32 (d,); None without any."""
        if self.neighbours is None or key not in self.neighbours:
            return None
        return self.neighbours.mean(key, self.vocabulary.vectors)
