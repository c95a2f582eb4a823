"""Analogies over any collection: inputs to unit vectors, questions to terms, exact answers."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from embedders.base import EncodeOptions
from embedders.vectors import normalize_rows
from index.analogy import AnalogyMethod, Terms, analogies
from index.base import Collection
from index.types import Hits, Points
from services.runtime.collections import Collections
from services.runtime.errors import RequestError
from services.runtime.inputs import WeightedInput, identity
from services.runtime.pools import Pools, run_in
from services.runtime.queries import own_ids
from services.runtime.ranking import check_k
from services.runtime.resolve import Resolved, collection_target, resolve
from services.runtime.results import no_hits
from services.runtime.search import SearchOutcome
from services.runtime.tracing import StageName, record

ROLE = EncodeOptions(role="query")
# Work of a call, in scores: a call of more would hold its thread for minutes.
MAX_SCORES = 40_000_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """One question: "man is to king as woman is to": positives king, woman; negatives man."""

    positives: Sequence[WeightedInput]
    negatives: Sequence[WeightedInput]

    @property
    def parts(self) -> list[WeightedInput]:
        """All inputs, positives first."""
        return [*self.positives, *self.negatives]


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch of questions and what is wanted of each."""

    questions: Sequence[Question]
    method: AnalogyMethod
    k: int
    limit: int = 0
    include_inputs: bool = False
    with_payload: bool = False


async def answer(
    collections: Collections,
    collection: Collection,
    asked: Asked,
    deadline: float | None = None,
) -> SearchOutcome:
    """The best answers to each question; a question that fails has none, and its reason.

    Raises:
        RequestError, OverloadedError
    """
    check_k(asked.k)
    points = collection.info.points
    if len(asked.questions) * points > MAX_SCORES:
        most = max(1, MAX_SCORES // points)
        raise RequestError(
            "questions", f"over {points} points a call may ask {most} questions; ask in parts"
        )
    inputs = [part.input for question in asked.questions for part in question.parts]
    target = collection_target(collections, collection)
    found = await resolve(collections, target, inputs, ROLE, deadline)
    terms, errors = read_terms(asked, found)
    good = [i for i in range(len(terms)) if i not in errors]
    hits, spent_ns = no_hits(len(terms)), 0
    if good:
        hits, spent_ns = await run_in(
            collections.pools.search, _ask, collections.pools, collection, asked, terms, good, found
        )
        ended = time.perf_counter_ns()
        record(StageName.SEARCH, ended - spent_ns, ended)
    embedded = found.embedded
    return SearchOutcome(
        hits,
        collection.spec.space_id,
        errors,
        queue_ns=embedded.times.queue_ns if embedded else 0,
        prepare_ns=embedded.times.prepare_ns if embedded else 0,
        encode_ns=embedded.times.encode_ns if embedded else 0,
        search_ns=spent_ns,
    )


def read_terms(asked: Asked, found: Resolved) -> tuple[list[Terms], dict[int, Exception]]:
    """Terms of each question, and the questions that cannot be asked, by position."""
    terms: list[Terms] = []
    errors: dict[int, Exception] = {}
    for i, question in enumerate(asked.questions):
        keys = [identity(part.input) for part in question.parts]
        if error := _unfit(asked.method, question, keys, found, i):
            errors[i] = error
            terms.append(())
            continue
        weights = [part.weight for part in question.positives]
        weights += [-abs(part.weight) for part in question.negatives]
        terms.append([(found.place[key], w) for key, w in zip(keys, weights, strict=True)])
    return terms, errors


def _unfit(
    method: AnalogyMethod,
    question: Question,
    keys: Sequence[Hashable],
    found: Resolved,
    number: int,
) -> Exception | None:
    if not keys:
        return RequestError(f"questions[{number}]", "give at least one positive or negative")
    shape = (len(question.positives), len(question.negatives))
    if method is AnalogyMethod.PAIR_DIRECTION and shape != (2, 1):
        return RequestError(
            f"questions[{number}]", "PairDirection takes two positives and one negative"
        )
    return next((found.errors[key] for key in keys if key in found.errors), None)


def _ask(
    pools: Pools,
    collection: Collection,
    asked: Asked,
    terms: Sequence[Terms],
    good: Sequence[int],
    found: Resolved,
) -> tuple[Hits, int]:
    """In a thread: answers to the good questions, none to the others, and nanoseconds."""
    started = time.perf_counter_ns()
    barred: list[list[str]] = []
    if not asked.include_inputs:
        parts = [[part.input for part in asked.questions[i].parts] for i in good]
        barred = [sorted(own_ids(collection, inputs)) for inputs in parts]
    hits = analogies(
        collection,
        normalize_rows(found.rows),
        [terms[i] for i in good],
        asked.k,
        asked.method,
        excluded=barred,
        limit=asked.limit,
        threads=pools.cores,
    )
    counts = np.zeros(len(terms), np.int64)
    counts[good] = hits.counts
    if asked.with_payload:
        hits = replace(hits, points=with_payloads(collection, hits.points))
    return replace(hits, counts=counts), time.perf_counter_ns() - started


def with_payloads(collection: Collection, points: Points) -> Points:
    """The same points with their payloads."""
    distinct = list(dict.fromkeys(points.ids))
    read, _ = collection.get(distinct)
    assert read.payloads is not None
    payloads = dict(zip(read.ids, read.payloads, strict=True))
    return Points(points.ids, payloads=[payloads.get(name, b"{}") for name in points.ids])
