"""Cutting a batch into groups of like length, so that little is spent on padding."""

from collections.abc import Sequence

import numpy as np

from embedders.vectors import IndexArray


def length_groups(lengths: Sequence[int], waste: int, budget: int) -> list[IndexArray]:
    """Positions of the items in groups, the longest first.

    A group closes when its padding would exceed `waste` tokens (about what one more forward
    pass costs) or its padded size `budget` tokens.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.intp), kind="stable")
    groups: list[IndexArray] = []
    start, padding = 0, 0
    for i, position in enumerate(order):
        longest = lengths[order[start]]
        padding += longest - lengths[position]
        if i > start and (padding > waste or (i - start + 1) * longest > budget):
            groups.append(order[start:i])
            start, padding = i, 0
    groups.append(order[start:])
    return groups
