"""SearchService of the fake: dot products of unit vectors, every point compared."""

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from latentspace.v1 import search_service_pb2 as pb
from latentspace.v1 import search_service_pb2_grpc, types_pb2
from latentspace.vectors import as_rows, pack, unpack
from tests.client.fake.calls import Fake, logged
from tests.client.fake.world import CallFailed, FakeCollection, ItemFailed, Rows, Stored


def unit(row: Rows) -> Rows:
    return np.asarray(row / (np.linalg.norm(row) or 1), np.float32)


class FakeSearch(Fake, search_service_pb2_grpc.SearchServiceServicer):
    @logged
    def Search(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        queries: list[Any] = list(request.queries)
        if request.HasField("vectors"):
            if request.vectors.dim != found.spec.dim:
                raise CallFailed(grpc.StatusCode.INVALID_ARGUMENT, "wrong dimension")
            queries = list(unpack(request.vectors))
        answers: list[list[tuple[str, float]]] = []
        errors = []
        points = found.passing(request)
        for position, query in enumerate(queries):
            try:
                row = query if isinstance(query, np.ndarray) else self._sum(found, query)
                ranked = _ranked(points, unit(row))[request.offset :]
                if request.HasField("score_threshold"):
                    ranked = [hit for hit in ranked if hit[1] >= request.score_threshold]
                answers.append(ranked[: request.k or 10])
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=position, status=failed.status))
                answers.append([])
        return pb.SearchResponse(
            results=_columns(found, answers, request.with_payload, request.with_vectors),
            errors=errors,
            space_id=found.spec.space_id,
            timing=types_pb2.Timing(total_ns=5, search_ns=3),
        )

    @logged
    def Analogy(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        answers: list[list[tuple[str, float]]] = []
        errors = []
        for position, question in enumerate(request.questions):
            try:
                answers.append(self._answer(found, question, request))
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=position, status=failed.status))
                answers.append([])
        return pb.AnalogyResponse(
            results=_columns(found, answers, request.with_payload, False),
            errors=errors,
            space_id=found.spec.space_id,
        )

    @logged
    def Compare(self, request: Any) -> Any:  # noqa: N802
        scores, errors = [], []
        for position, pair in enumerate(request.pairs):
            try:
                a = self.world.rows(request.model, pair.first)[0]
                b = self.world.rows(request.model, pair.second)[0]
                scores.append(float(unit(a) @ unit(b)))
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=position, status=failed.status))
                scores.append(float("nan"))
        threshold = request.threshold if request.HasField("threshold") else 0.5
        verdicts = [pb.VERDICT_SAME if s >= threshold else pb.VERDICT_DIFFERENT for s in scores]
        return pb.CompareResponse(
            scores=np.array(scores, "<f4").tobytes(),
            verdicts=verdicts,
            threshold=threshold,
            errors=errors,
        )

    def _sum(self, found: FakeCollection, query: pb.Query) -> Rows:
        terms = query.weighted.inputs
        if len(terms) == 1:
            return self._row(found, terms[0].input)
        rows = [_weight(term) * unit(self._row(found, term.input)) for term in terms]
        return np.asarray(np.sum(rows, axis=0), np.float32)

    def _row(self, found: FakeCollection, item: types_pb2.Input) -> Rows:
        if item.HasField("point"):
            return self.world.point(item.point, found.name).vector
        return self.world.rows(found.spec.model, item)[0]

    def _answer(
        self, found: FakeCollection, question: pb.AnalogyQuestion, request: pb.AnalogyRequest
    ) -> list[tuple[str, float]]:
        sides = [question.positives, question.negatives]
        rows = [[unit(self._row(found, term.input)) for term in side] for side in sides]
        weights = [[abs(_weight(term)) for term in side] for side in sides]
        limit = request.vocabulary_limit or len(found.points)
        names = list(found.points)[:limit]
        matrix = np.array([unit(found.points[name].vector) for name in names])
        if request.method == pb.ANALOGY_METHOD_3COSMUL:
            shifted = [[(1 + matrix @ row) / 2 for row in side] for side in rows]
            below = np.prod(shifted[1], axis=0) + 1e-6
            scores = np.prod(shifted[0], axis=0) / below
        else:
            signed = [*weights[0], *(-w for w in weights[1])]
            total = np.array(signed, np.float32) @ np.array([*rows[0], *rows[1]])
            scores = matrix @ unit(total)
        own = {term.input.key for side in sides for term in side}
        order = np.argsort(-scores, kind="stable")
        hits = [(names[i], float(scores[i])) for i in order]
        kept = [hit for hit in hits if request.include_inputs or hit[0] not in own]
        return kept[: request.k or 10]


def _weight(term: types_pb2.WeightedInput) -> float:
    return term.weight if term.HasField("weight") else 1.0


def _ranked(points: dict[str, Stored], row: Rows) -> list[tuple[str, float]]:
    names = list(points)
    if not names:
        return []
    scores = np.array([unit(points[name].vector) for name in names]) @ row
    return [(names[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def _columns(
    found: FakeCollection,
    answers: Sequence[list[tuple[str, float]]],
    with_payload: bool,
    with_vectors: bool,
) -> pb.SearchResults:
    flat = [hit for answer in answers for hit in answer]
    points = [found.points[name] for name, _ in flat]
    return pb.SearchResults(
        ids=[name for name, _ in flat],
        scores=np.array([score for _, score in flat], "<f4").tobytes(),
        counts=[len(answer) for answer in answers],
        payloads=[p.payload for p in points] if with_payload else [],
        vectors=pack(as_rows([p.vector for p in points])) if with_vectors and points else None,
        modalities=[p.modality for p in points],  # type: ignore[misc]
    )
