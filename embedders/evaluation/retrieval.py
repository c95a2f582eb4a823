"""Retrieval from a corpus, after BEIR (Thakur and others, 2021).

With documents ranked by cosine, g_i the grade of the document at rank i and g*_i that of the best
possible order,

    nDCG@k = sum_{i<=k} g_i / log2(i + 1)  /  sum_{i<=k} g*_i / log2(i + 1),
    recall@k = relevant documents among the first k / relevant documents.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedders.base import EncodeOptions, Item, Modality
from embedders.evaluation.base import EmbeddedItems, Outcome, Subject, embed_all, require
from embedders.evaluation.beir import RetrievalSet, read_beir
from embedders.evaluation.bootstrap import mean_figure
from embedders.options import STRICT
from embedders.training import Progress
from embedders.vectors import FloatRows, IndexArray, top_k

BLOCK = 256

Cut = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, slots=True)
class RetrievalParams:
    """Parameters.

    Args:
        split: name of the file of judgements in qrels/, without .tsv.
        ndcg: ranks at which nDCG is cut.
        recall: ranks at which recall is cut.
        query_role, document_role: as which queries and documents are embedded.
        skip_same_id: a document never answers the query of its own id.
    """

    __pydantic_config__: ClassVar = STRICT

    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "test"
    ndcg: tuple[Cut, ...] = (10,)
    recall: tuple[Cut, ...] = (10, 100)
    query_role: str = "query"
    document_role: str = "document"
    skip_same_id: bool = True


def evaluate(model: Subject, source: str, params: RetrievalParams, progress: Progress) -> Outcome:
    """Mean nDCG and recall over queries.

    Raises:
        OptionError: not a model of texts, or the folder is not as the layout says.
    """
    require(model, Modality.TEXT, "retrieval")
    given = read_beir(Path(source), params.split)
    # queries first: they are few, and a wrong role shows at once
    queries = _embed(model, [*given.queries.values()], params.query_role, progress, "queries")
    corpus = _embed(model, [*given.documents.values()], params.document_role, progress, "corpus")
    depth = max((*params.ndcg, *params.recall))
    progress("ranking", 0, len(given.queries))
    ranked = rank(queries, corpus, depth, own_documents(given, params.skip_same_id))
    grades = ranked_grades(given, ranked)
    ideal = [sorted(given.grades[query].values(), reverse=True) for query in given.queries]
    pairs = list(zip(grades, ideal, strict=True))
    figures = [
        mean_figure(f"ndcg@{k}", np.array([ndcg(row, best, k) for row, best in pairs]))
        for k in params.ndcg
    ]
    figures += [
        mean_figure(f"recall@{k}", np.array([recall(row, best, k) for row, best in pairs]))
        for k in params.recall
    ]
    embedded = int(queries.found.sum()) + int(corpus.found.sum())
    return Outcome(tuple(figures), embedded / (len(queries.rows) + len(corpus.rows)))


def ndcg(grades: NDArray[np.int64], ideal: list[int], k: int) -> float:
    """Of one query, in [0, 1].

    Args:
        grades: of the ranked documents, best rank first, (depth,).
        ideal: all judged grades, descending.
    """
    best = _gain(np.array(ideal[:k]))
    return _gain(grades[:k]) / best


def recall(grades: NDArray[np.int64], ideal: list[int], k: int) -> float:
    """Share of the relevant documents (grade above 0) among the first k."""
    return float((grades[:k] > 0).sum() / sum(grade > 0 for grade in ideal))


def ranked_grades(given: RetrievalSet, ranked: IndexArray) -> NDArray[np.int64]:
    """Grades of ranked documents, (queries, depth); 0 where not judged, or past the end (-1)."""
    place = {name: i for i, name in enumerate(given.documents)}
    grades = np.zeros(ranked.shape, np.int64)
    for row, query in enumerate(given.queries):
        for document, grade in given.grades[query].items():
            if document in place:
                grades[row, ranked[row] == place[document]] = max(grade, 0)
    return grades


def _gain(grades: NDArray[np.int64]) -> float:
    gains = np.maximum(grades, 0)
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def _embed(
    model: Subject, texts: list[str], role: str, progress: Progress, stage: str
) -> EmbeddedItems:
    items = [Item(Modality.TEXT, text) for text in texts]
    return embed_all(model, items, EncodeOptions(role=role), progress, stage)


def own_documents(given: RetrievalSet, skip: bool) -> IndexArray:
    """For each query the document of its own id, intp (queries,); -1 where none is skipped."""
    place = {name: i for i, name in enumerate(given.documents)} if skip else {}
    return np.array([place.get(query, -1) for query in given.queries], np.intp)


def rank(
    queries: EmbeddedItems, corpus: EmbeddedItems, depth: int, skipped: IndexArray
) -> IndexArray:
    """Documents of each query, best first, ties by their order; -1 for none, (queries, depth)."""
    blocks = [
        _rank_block(
            queries.rows[start : start + BLOCK], corpus, skipped[start : start + BLOCK], depth
        )
        for start in range(0, len(skipped), BLOCK)
    ]
    found = np.concatenate(blocks)
    # a query without a vector finds nothing
    found[~queries.found] = -1
    return found


def _rank_block(
    rows: FloatRows, corpus: EmbeddedItems, skipped: IndexArray, depth: int
) -> IndexArray:
    scores = rows @ corpus.rows.T
    scores[:, ~corpus.found] = -np.inf
    mine = np.flatnonzero(skipped >= 0)
    scores[mine, skipped[mine]] = -np.inf
    best = top_k(scores, depth)
    return np.where(np.isfinite(np.take_along_axis(scores, best, axis=1)), best, -1)
