"""Files of image pairs for verification: LFW's pairs.txt, or CSV."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from embedders.errors import OptionError
from embedders.evaluation.dyads import Dyads
from embedders.evaluation.files import Archive
from embedders.evaluation.people import FOLDS, dealt, people_of
from embedders.evaluation.words import read_lines
from embedders.vectors import IndexArray
from latentspace_text.cells import CellError, split_cells

SAME = {"1": True, "true": True, "0": False, "false": False}
LFW_SAME, LFW_DIFFERENT = 3, 4


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images by path.

    Args:
        same: whether both are of one person, bool (n,).
        fold: 0 to 9, intp (n,).
        people: the two people of each pair.
    """

    left: list[str]
    right: list[str]
    same: NDArray[np.bool_]
    fold: IndexArray
    people: Dyads


def read_pairs(path: Path, images: Archive) -> Pairs:
    """Pairs of a file: `.csv` has path,path,same[,fold]; any other is LFW's pairs.txt.

    Raises:
        OptionError: a line of another shape; it is named.
    """
    lines = read_lines(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, lines)
    return _read_lfw(path, lines, images)


def _read_csv(path: Path, lines: list[str]) -> Pairs:
    left, right, same, fold = [], [], [], []
    for number, line in enumerate(lines, 1):
        try:
            cells = [cell.strip() for cell in split_cells(line, ",")]
        except CellError as error:
            raise OptionError("source", f"{path.name}: line {number}: {error}") from None
        if not any(cells):
            continue
        verdict = SAME.get(cells[2].lower()) if len(cells) > 2 else None
        if verdict is None:
            if number == 1:
                continue
            raise OptionError("source", f"{path.name}: line {number} is not path,path,0 or 1")
        left.append(cells[0])
        right.append(cells[1])
        same.append(verdict)
        fold.append(cells[3] if len(cells) > 3 else "")
    verdicts = np.array(same, np.bool_)
    people = people_of(left, right, verdicts)
    return Pairs(left, right, verdicts, _folds(path, fold, people), people)


def _folds(path: Path, given: list[str], people: Dyads) -> IndexArray:
    """The file's folds; where it has none, people are dealt out evenly."""
    if not (given and all(given)):
        return dealt(people)
    names = {name: i for i, name in enumerate(sorted(set(given)))}
    if len(names) < 2:
        raise OptionError("source", f"{path.name}: the column of folds has only one")
    return np.array([names[name] for name in given], np.intp)


def _read_lfw(path: Path, lines: list[str], images: Archive) -> Pairs:
    """`NAME i j` is a pair of one person, `NAME i NAME j` of two; the head tells the folds."""
    head, *rest = (line.split() for line in lines if line.strip())
    folds = int(head[0]) if len(head) == 2 and head[0].isdigit() else FOLDS
    rows = rest if all(cell.isdigit() for cell in head) else [head, *rest]
    ending = _ending(images)
    left, right, same, who = [], [], [], []
    for number, cells in enumerate(rows, 1):
        if len(cells) == LFW_SAME:
            cells = [cells[0], cells[1], cells[0], cells[2]]
        if len(cells) != LFW_DIFFERENT or not (cells[1] + cells[3]).isdigit():
            raise OptionError("source", f"{path.name}: pair {number} is not as in LFW's pairs.txt")
        left.append(_lfw_name(cells[0], cells[1], ending))
        right.append(_lfw_name(cells[2], cells[3], ending))
        same.append(cells[0] == cells[2])
        who.append((cells[0], cells[2]))
    # the file has its folds one after another, all of one size
    fold = np.arange(len(same)) * folds // max(1, len(same))
    numbers = np.unique(np.array(who).reshape(-1, 2), return_inverse=True)[1].reshape(-1, 2)
    people = Dyads(numbers[:, 0].astype(np.intp), numbers[:, 1].astype(np.intp))
    return Pairs(left, right, np.array(same, np.bool_), fold, people)


def _ending(images: Archive) -> str:
    first = next(iter(images.names), "x.jpg")
    return PurePosixPath(first).suffix


def _lfw_name(person: str, number: str, ending: str) -> str:
    return f"{person}/{person}_{int(number):04d}{ending}"
