"""Batches of P people by K photos, with strangers as further negatives."""

from collections.abc import Iterator

import numpy as np

from embedders.vectors import IndexArray


class PeopleSampler:
    """Batches of photo positions; an epoch meets each person of two photos and more once.

    A batch has places for `people` times `photos`. A person gives `photos` different photos, or
    all where there are fewer; strangers, people of a single photo, fill the places left. They
    have no positive and so are never anchors.
    """

    def __init__(self, labels: IndexArray, people: int, photos: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._people, self._photos = people, photos
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        groups = np.split(order, starts[1:])
        self._known = [group for group in groups if len(group) > 1]
        singles = [group for group in groups if len(group) == 1]
        self._singles = np.concatenate(singles) if singles else np.empty(0, dtype=np.intp)

    @property
    def known(self) -> int:
        """People of two photos and more."""
        return len(self._known)

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.known // self._people)

    def epoch(self) -> Iterator[IndexArray]:
        """Positions of photos, batch by batch; the people are spread evenly over the batches."""
        order = self._rng.permutation(self.known)
        for chosen in np.array_split(order, max(1, self.batches)) if self.known else ():
            photos = np.concatenate([self._draw(self._known[person]) for person in chosen])
            yield np.concatenate([photos, self._draw_strangers(len(photos))])

    def _draw(self, group: IndexArray) -> IndexArray:
        return self._rng.permutation(group)[: self._photos]

    def _draw_strangers(self, taken: int) -> IndexArray:
        # batches of one size also spare the arithmetic library a plan for each size
        free = min(self._people * self._photos - taken, len(self._singles))
        return self._rng.choice(self._singles, free, replace=False)
