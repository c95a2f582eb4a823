"""A graph from its edges, whatever file they came from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.errors import OptionError
from embedders.node2vec.graph import Graph
from embedders.node2vec.options import Duplicates, EdgeWeights, GraphOptions, Loops

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges as a file has them.

    Args:
        names: of the nodes.
        sources, targets: int64 (m,), positions in `names`.
        weights: float64 (m,), or None.
        place: where edge i stands, for messages ("edges.tsv: line 7").
        both_ways: an undirected edge stands there twice, as in a symmetric matrix.
        notes: what the user should know of the file.
    """

    names: Sequence[str]
    sources: Ints
    targets: Ints
    weights: Doubles | None
    place: Callable[[int], str]
    both_ways: bool = False
    notes: tuple[str, ...] = ()

    def take(self, chosen: Ints, weights: Doubles | None) -> "Edges":
        """Some of the edges, with other weights."""
        where = self.place
        return Edges(
            self.names,
            self.sources[chosen],
            self.targets[chosen],
            weights,
            lambda i: where(int(chosen[i])),
            self.both_ways,
            self.notes,
        )


def build_graph(edges: Edges, options: GraphOptions) -> Graph:
    """The graph of edges.

    Raises:
        OptionError: no edges, a weight that is not a positive number, an edge with two weights,
            or a matrix that is not symmetric; names the place and the cure.
    """
    if not len(edges.sources):
        raise OptionError("source", f"{edges.place(-1)}: there are no edges")
    if options.weights is EdgeWeights.IGNORE:
        edges = edges.take(np.arange(len(edges.sources)), None)
    _check_weights(edges)
    notes = list(edges.notes)
    edges = _drop_loops(edges, options, notes)
    edges = _merge(edges, options, notes)
    if edges.both_ways and not options.directed:
        _check_symmetric(edges)
    rows, columns, weights = _arcs(edges, options)
    order = np.argsort(rows * len(edges.names) + columns, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(edges.names)))])
    kept = None if weights is None or (weights == weights[0]).all() else weights[order]
    return Graph(
        edges.names,
        indptr.astype(np.int64),
        columns[order].astype(np.int32),
        None if kept is None else kept.astype(np.float32),
        options.directed,
        tuple(notes),
    )


def _check_weights(edges: Edges) -> None:
    if edges.weights is None:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        stored = edges.weights.astype(np.float32)
    wrong = ~(np.isfinite(stored) & (stored > 0))
    if wrong.any():
        i = int(wrong.argmax())
        raise OptionError(
            "source",
            f"{edges.place(i)}: the weight {edges.weights[i]:g} of the edge "
            f"{edges.names[edges.sources[i]]!r} to {edges.names[edges.targets[i]]!r} is not a "
            "positive number that fits float32: mend it, take the edge out, or set weights to "
            "'ignore'",
        )


def _drop_loops(edges: Edges, options: GraphOptions, notes: list[str]) -> Edges:
    loops = edges.sources == edges.targets
    count = int(loops.sum())
    if not count:
        return edges
    if options.self_loops is Loops.KEEP:
        notes.append(f"{count} edges lead from a node to itself; self_loops: drop leaves them out")
        return edges
    notes.append(f"{count} edges from a node to itself were left out")
    kept = np.flatnonzero(~loops)
    if not len(kept):
        raise OptionError("self_loops", "every edge leads from a node to itself: keep them")
    return edges.take(kept, None if edges.weights is None else edges.weights[kept])


def _merge(edges: Edges, options: GraphOptions, notes: list[str]) -> Edges:
    """Each edge once, in the order of first appearance in a sorted list."""
    first, second = edges.sources, edges.targets
    if not options.directed and not edges.both_ways:
        first, second = np.minimum(first, second), np.maximum(first, second)
    keys = first * len(edges.names) + second
    order = np.argsort(keys, kind="stable")
    new = np.concatenate([[True], np.diff(keys[order]) != 0])
    if new.all():
        return edges
    notes.append(f"{int((~new).sum())} edges stood there more than once")
    starts = np.flatnonzero(new)
    if edges.weights is None:
        return edges.take(order[starts], None)
    sorted_weights = edges.weights[order]
    if options.duplicates is Duplicates.SUM:
        return edges.take(order[starts], np.add.reduceat(sorted_weights, starts))
    if options.duplicates is Duplicates.LAST:
        ends = np.concatenate([starts[1:], [len(order)]]) - 1
        return edges.take(order[ends], sorted_weights[ends])
    other = ~new[1:] & (np.diff(sorted_weights) != 0)
    if other.any():
        i = int(other.argmax())
        raise OptionError(
            "duplicates",
            f"{edges.place(int(order[i]))} and {edges.place(int(order[i + 1]))}: the same edge "
            f"with the weights {sorted_weights[i]:g} and {sorted_weights[i + 1]:g}: set "
            "duplicates to 'sum' or 'last', or directed where edges lead one way",
        )
    return edges.take(order[starts], sorted_weights[starts])


def _check_symmetric(edges: Edges) -> None:
    n = len(edges.names)
    there, back = edges.sources * n + edges.targets, edges.targets * n + edges.sources
    order, other = np.argsort(there), np.argsort(back)
    same = there[order] == back[other]
    if edges.weights is not None:
        same &= edges.weights[order] == edges.weights[other]
    if not same.all():
        i = int(order[int((~same).argmax())])
        raise OptionError(
            "directed",
            f"{edges.place(i)}: no such edge, or another weight, the other way: set directed, or "
            "make it symmetric",
        )


def _arcs(edges: Edges, options: GraphOptions) -> tuple[Ints, Ints, Doubles | None]:
    if options.directed or edges.both_ways:
        return edges.sources, edges.targets, edges.weights
    turned = edges.sources != edges.targets
    rows = np.concatenate([edges.sources, edges.targets[turned]])
    columns = np.concatenate([edges.targets, edges.sources[turned]])
    if edges.weights is None:
        return rows, columns, None
    return rows, columns, np.concatenate([edges.weights, edges.weights[turned]])
