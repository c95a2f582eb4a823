"""Rows of a batch, and what became of its items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import LatentspaceError, PartialError, RowCountError
from latentspace.results.timing import NO_TIMING, Timing
from latentspace.sifting import Sifted
from latentspace.spaces import Embeddings, common_space
from latentspace.status import item_errors
from latentspace.v1 import embedding_service_pb2
from latentspace.vectors import unpack

EmbedReply = embedding_service_pb2.EmbedResponse | embedding_service_pb2.EmbedStreamResponse


@dataclass(frozen=True, slots=True)
class Region:
    """A box in an image, in pixels of the upright image; `quality` in [0, 1]."""

    x: float
    y: float
    width: float
    height: float
    quality: float


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingBatch:
    """Rows of n inputs; an input gives none (it failed, or nothing was found in it), one or more.

    Args:
        rows: float32 (m, dim).
        index: int64 (m,), for each row the position of its input, ascending.
        space_id: space of the rows.
        inputs: n.
        token_counts: int64 (n,), tokens before truncation; 0 for inputs that are not text.
        truncated: positions of the inputs that were truncated.
        composed: positions of the inputs whose vector was composed, not looked up.
        regions: for each row its place in the image; empty unless the model detects.
        errors: positions of the inputs that failed, and why.
    """

    rows: Embeddings
    index: NDArray[np.int64]
    space_id: str
    inputs: int
    token_counts: NDArray[np.int64]
    truncated: tuple[int, ...] = ()
    composed: tuple[int, ...] = ()
    regions: tuple[Region, ...] = ()
    errors: Mapping[int, LatentspaceError] = field(default_factory=dict)
    timing: Timing = NO_TIMING

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        shape = "x".join(map(str, self.rows.shape))
        return f"EmbeddingBatch({shape} of {self.inputs} inputs{failed}, space {self.space_id})"

    def of(self, position: int) -> Embeddings:
        """The rows of one input, float32 (rows, dim)."""
        rows: Embeddings = self.rows[self.index == position]
        return rows

    def one_each(self) -> Embeddings:
        """One row an input, float32 (n, dim); NaN in the rows of inputs that failed.

        Raises:
            RowCountError: an input that did not fail gave no row, or several.
        """
        if self.inputs == len(self.rows) and (self.index == np.arange(self.inputs)).all():
            return self.rows
        counts = np.bincount(self.index, minlength=self.inputs)
        wrong = [i for i in np.flatnonzero(counts != 1).tolist() if i not in self.errors]
        if wrong:
            raise RowCountError(
                f"input {wrong[0]} gave {counts[wrong[0]]} vectors, not one; "
                "embed_batch returns them with their inputs"
            )
        rows = np.full((self.inputs, self.rows.shape[1]), np.nan, np.float32)
        rows[self.index] = self.rows
        return Embeddings(rows, self.space_id)

    def raise_errors(self) -> None:
        """Raises what failed.

        Raises:
            PartialError: some inputs failed; a call of one input raises that input's own error.
        """
        if self.errors and self.inputs == 1:
            raise self.errors[0]
        if self.errors:
            try:
                vectors = self.one_each()
            except RowCountError:
                vectors = None
            raise PartialError(vectors, self.errors, self)

    @classmethod
    def from_parts(
        cls,
        parts: Sequence[tuple[int, EmbedReply]],
        sifted: Sifted | None = None,
    ) -> Self:
        """From replies and the number of inputs that each answers.

        Args:
            sifted: which of the caller's inputs those are; None: all.
        """
        if not parts:
            return cls._of_none(sifted or Sifted(0, []))
        starts = np.cumsum([0, *(count for count, _ in parts)]).tolist()
        batches = [reply.embeddings for _, reply in parts]
        placed = list(zip(starts, batches, strict=False))
        vectors = [unpack(batch.vectors) for batch in batches]
        # a part without rows may not know its dimension
        full = [rows for rows in vectors if len(rows)] or vectors[:1]
        batch = cls(
            rows=Embeddings(np.concatenate(full), common_space(full)),
            index=np.concatenate(
                [start + np.array(b.input_index, np.int64) for start, b in placed]
            ),
            space_id=next((b.vectors.space_id for b in batches if b.vectors.space_id), ""),
            inputs=starts[-1],
            token_counts=np.concatenate(
                [_counts(b, count) for (count, _), b in zip(parts, batches, strict=True)]
            ),
            truncated=tuple(start + i for start, b in placed for i in b.truncated),
            composed=tuple(start + i for start, b in placed for i in b.composed),
            regions=tuple(
                Region(r.x, r.y, r.width, r.height, r.quality) for b in batches for r in b.regions
            ),
            errors=item_errors((count, reply.embeddings) for count, reply in parts),
            timing=Timing.from_messages(reply.timing for _, reply in parts),
        )
        whole = sifted is None or sifted.count == len(sifted.places)
        return batch if sifted is None or whole else batch._within(sifted)

    @classmethod
    def _of_none(cls, sifted: Sifted) -> Self:
        """Of inputs none of which could be sent."""
        none = np.zeros(0, np.int64)
        rows, counts = Embeddings(np.zeros((0, 0), np.float32)), np.zeros(sifted.count, np.int64)
        return cls(rows, none, "", sifted.count, counts, errors=sifted.errors)

    def _within(self, sifted: Sifted) -> Self:
        """The same batch among the inputs that could not be sent."""
        counts = np.zeros(sifted.count, np.int64)
        counts[sifted.places] = self.token_counts
        return replace(
            self,
            index=np.array(sifted.places, np.int64)[self.index],
            inputs=sifted.count,
            token_counts=counts,
            truncated=tuple(sifted.places[i] for i in self.truncated),
            composed=tuple(sifted.places[i] for i in self.composed),
            errors=sifted.placed(dict(self.errors)),
        )


def _counts(batch: embedding_service_pb2.Embeddings, inputs: int) -> NDArray[np.int64]:
    counts = np.zeros(inputs, np.int64)
    counts[: len(batch.token_counts)] = batch.token_counts
    return counts
