"""Semantic textual similarity: do cosines order pairs of sentences as people do?

Figures are those of the STS benchmark (Cer and others, 2017) and of sentence-transformers'
`EmbeddingSimilarityEvaluator`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from embedders.base import EncodeOptions, Item, Modality
from embedders.evaluation.base import Outcome, Subject, embed_all, require
from embedders.evaluation.correlation import correlations
from embedders.evaluation.judgements import read_judgements
from embedders.options import STRICT
from embedders.training import Progress

Column = Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True, slots=True)
class StsParams:
    """Parameters.

    Args:
        columns: of the judgement, the first sentence and the second, from 1.
        role: as which the sentences are embedded.
    """

    __pydantic_config__: ClassVar = STRICT

    columns: tuple[Column, Column, Column] = (5, 6, 7)
    role: str = "document"


def evaluate(model: Subject, source: str, params: StsParams, progress: Progress) -> Outcome:
    """Spearman's and Pearson's correlation of cosines with judgements.

    Raises:
        OptionError: not a model of texts, or the file is not as the format says.
    """
    require(model, Modality.TEXT, "sts")
    pairs = read_judgements(Path(source), *params.columns)
    sentences = list(dict.fromkeys([*pairs.first, *pairs.second]))
    place = {sentence: i for i, sentence in enumerate(sentences)}
    items = [Item(Modality.TEXT, sentence) for sentence in sentences]
    embedded = embed_all(model, items, EncodeOptions(role=params.role), progress, "sentences")
    left = np.array([place[sentence] for sentence in pairs.first], np.intp)
    right = np.array([place[sentence] for sentence in pairs.second], np.intp)
    found = embedded.found[left] & embedded.found[right]
    rows = embedded.rows
    scores = np.einsum("ij,ij->i", rows[left[found]], rows[right[found]], dtype=np.float64)
    return Outcome(correlations(pairs.gold[found], scores), float(found.mean()))
