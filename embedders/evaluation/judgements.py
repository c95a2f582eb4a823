"""Files of judged pairs: tab-separated, one pair a line."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedders.errors import OptionError
from embedders.evaluation.bootstrap import Floats
from embedders.evaluation.words import read_lines
from latentspace_text.edges import is_comment


@dataclass(frozen=True, slots=True)
class Judgements:
    """Pairs, and what people say of them, float64 (n,)."""

    first: list[str]
    second: list[str]
    gold: Floats


def read_judgements(path: Path, score: int, first: int, second: int) -> Judgements:
    """Pairs of a file; comments ("# ...") and a first line of names are passed over.

    Args:
        score, first, second: columns, from 1.

    Raises:
        OptionError: a line without these columns or without a number; it is named.
    """
    left: list[str] = []
    right: list[str] = []
    gold: list[float] = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or is_comment(line):
            continue
        cells = line.split("\t")
        if len(cells) < max(score, first, second):
            raise OptionError(
                "source",
                f"{path.name}: line {number} has {len(cells)} columns between tabs, not"
                f" {max(score, first, second)}; see the parameter columns",
            )
        value = _number(cells[score - 1])
        if value is None:
            if number == 1:
                continue
            message = f"{path.name}: line {number}, column {score}: not a number"
            raise OptionError("source", message)
        left.append(cells[first - 1].strip())
        right.append(cells[second - 1].strip())
        gold.append(value)
    if not gold:
        raise OptionError("source", f"{path.name} has no pairs")
    return Judgements(left, right, np.array(gold))


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
