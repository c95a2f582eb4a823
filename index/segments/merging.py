"""Which segments become one."""

from collections.abc import Sequence

from index.segments.part import Part


def merge_window(parts: Sequence[Part], factor: int, max_rows: int) -> Sequence[Part] | None:
    """The run of neighbours to merge next, or None.

    A run qualifies if it holds `factor` times the rows of its largest member, so that a row
    moves into a segment at least `factor` times as large whenever it is written again, and no
    more than twice that, so that searches need not wait long for their index. Of those the one
    with the most rows.
    """
    best: tuple[int, int, int] = (0, 0, 0)
    for first in range(len(parts)):
        total = largest = 0
        for last in range(first, len(parts)):
            total += parts[last].live
            largest = max(largest, parts[last].live)
            fits = factor * largest <= total <= min(max_rows, 2 * factor * largest)
            if last > first and fits and total > best[0]:
                best = (total, first, last + 1)
    return parts[best[1] : best[2]] if best[0] else None
