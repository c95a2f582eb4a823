"""Who is in which pair of images, and folds in which people do not meet."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embedders.evaluation.dyads import Dyads
from embedders.vectors import IndexArray

FOLDS = 10
SEED = 0
# a threshold of fewer pairs than this share of the other folds' is worse than a shared person
LEAST_SHARE = 0.25


def people_of(left: list[str], right: list[str], same: NDArray[np.bool_]) -> Dyads:
    """The people of pairs of image paths.

    A folder is a person where that fits every pair; otherwise images that pairs of one person
    link, directly or by others, are one person's.
    """
    folders = [[path.rpartition("/")[0] for path in paths] for paths in (left, right)]
    equal = np.array([a == b for a, b in zip(*folders, strict=True)], np.bool_)
    named = all(folders[0]) and all(folders[1])
    names = folders if named and np.array_equal(equal, same) else [left, right]
    numbers = np.unique([*names[0], *names[1]], return_inverse=True)[1]
    first, second = numbers[: len(left)], numbers[len(left) :]
    count = int(numbers.max(initial=-1)) + 1
    links = coo_array((np.ones(same.sum()), (first[same], second[same])), shape=(count, count))
    person = connected_components(links, directed=False)[1].astype(np.intp)
    return Dyads(person[first], person[second])


def dealt(people: Dyads) -> IndexArray:
    """A fold 0 to 9 for each pair, intp (n,): all pairs of one person are in one fold.

    People are dealt out by their number of pairs; a pair of two people goes with the first.
    """
    rng = np.random.default_rng(SEED)
    order = rng.permutation(people.units)
    busy = np.bincount(people.first, minlength=people.units)
    order = order[np.argsort(-busy[order], kind="stable")]
    fold = np.empty(people.units, np.intp)
    fold[order] = np.arange(people.units) % FOLDS
    found: IndexArray = fold[people.first]
    return found


def strangers(people: Dyads, held: NDArray[np.bool_], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pairs, bool (n,), that share nobody with those that are held; all others if too few."""
    met = np.zeros(people.units, np.bool_)
    met[people.first[held]] = met[people.second[held]] = True
    free = ~held & ~met[people.first] & ~met[people.second]
    enough = free.sum() >= LEAST_SHARE * (~held).sum() and 0 < same[free].sum() < free.sum()
    return free if enough else ~held
