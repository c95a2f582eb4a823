"""CollectionService of the fake."""

import json
from typing import Any

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

from latentspace.v1 import collection_service_pb2 as pb
from latentspace.v1 import collection_service_pb2_grpc, types_pb2
from latentspace.vectors import as_rows, pack, unpack
from tests.client.fake.calls import Fake, logged
from tests.client.fake.operations import start
from tests.client.fake.world import CallFailed, FakeCollection, ItemFailed, Stored


class FakeCollections(Fake, collection_service_pb2_grpc.CollectionServiceServicer):
    @logged
    def CreateCollection(self, request: Any) -> Any:  # noqa: N802
        if request.collection in self.world.collections:
            raise CallFailed(
                grpc.StatusCode.ALREADY_EXISTS,
                f"there is a collection {request.collection!r} already",
                error_details_pb2.ErrorInfo(
                    reason="COLLECTION_EXISTS",
                    domain="latentspace",
                    metadata={"collection": request.collection},
                ),
            )
        spec = pb.CollectionSpec()
        spec.CopyFrom(request.spec)
        if spec.model:
            model = self.world.model(spec.model)
            spec.dim, spec.space_id = model.dim, model.space_id
        made = FakeCollection(request.collection, spec)
        self.world.collections[request.collection] = made
        return pb.CreateCollectionResponse(collection=made.message())

    @logged
    def GetCollection(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        return pb.GetCollectionResponse(collection=found.message())

    @logged
    def ListCollections(self, request: Any) -> Any:  # noqa: N802
        known = self.world.collections
        return pb.ListCollectionsResponse(collections=[known[n].message() for n in sorted(known)])

    @logged
    def DeleteCollection(self, request: Any) -> Any:  # noqa: N802
        del self.world.collections[self.world.collection(request.collection).name]
        return pb.DeleteCollectionResponse()

    @logged
    def UpdateCollection(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        for name, kind in request.add_fields.items():
            found.spec.fields[name] = kind
        return pb.UpdateCollectionResponse(collection=found.message())

    @logged
    def SetAlias(self, request: Any) -> Any:  # noqa: N802
        before = self.world.aliases.get(request.alias, "")
        self.world.aliases[request.alias] = self.world.collection(request.collection).name
        return pb.SetAliasResponse(previous_collection=before)

    @logged
    def DeleteAlias(self, request: Any) -> Any:  # noqa: N802
        del self.world.aliases[request.alias]
        return pb.DeleteAliasResponse()

    @logged
    def UpsertPoints(self, request: Any) -> Any:  # noqa: N802
        found = self._writable(request.collection)
        given = unpack(request.points.vectors) if request.points.HasField("vectors") else None
        if given is not None and given.shape[1] != found.spec.dim:
            raise CallFailed(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"vectors have {given.shape[1]} numbers, {found.name} holds {found.spec.dim}",
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field="points.vectors.dim", description="wrong dimension"
                        )
                    ]
                ),
            )
        payloads = request.points.payloads or [b"{}"] * len(request.points.ids)
        errors = []
        for i, (name, payload) in enumerate(zip(request.points.ids, payloads, strict=True)):
            try:
                if not name:
                    raise ItemFailed(code_pb2.INVALID_ARGUMENT, "the id is empty")
                if given is None:
                    row = self.world.rows(found.spec.model, request.points.inputs[i])[0]
                else:
                    row = given[i]
                found.points[name] = Stored(row, payload, types_pb2.MODALITY_VECTOR)
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=i, status=failed.status))
        found.version += 1
        written = len(request.points.ids) - len(errors)
        return pb.UpsertPointsResponse(written=written, errors=errors, version=found.version)

    @logged
    def GetPoints(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        known = [name for name in request.ids if name in found.points]
        missing = [i for i, name in enumerate(request.ids) if name not in found.points]
        status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="there is no such point")
        return pb.GetPointsResponse(
            points=self._batch(found, known, request),
            errors=[types_pb2.ItemError(index=i, status=status) for i in missing],
        )

    @logged
    def ListPoints(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        names = list(found.passing(request))
        start, size = int(request.page_token or 0), request.page_size or 100
        more = str(start + size) if start + size < len(names) else ""
        batch = self._batch(found, names[start : start + size], request)
        return pb.ListPointsResponse(points=batch, next_page_token=more)

    @logged
    def CountPoints(self, request: Any) -> Any:  # noqa: N802
        found = self.world.collection(request.collection)
        return pb.CountPointsResponse(count=len(found.passing(request)))

    @logged
    def UpdatePayload(self, request: Any) -> Any:  # noqa: N802
        found = self._writable(request.collection)
        names = self._selected(found, request)
        for name in names:
            old = {} if request.replace else json.loads(found.points[name].payload)
            kept = {key: value for key, value in old.items() if key not in request.remove_keys}
            new = {**kept, **json.loads(request.payload or b"{}")}
            found.points[name].payload = json.dumps(new).encode()
        return pb.UpdatePayloadResponse(updated=len(names))

    @logged
    def DeletePoints(self, request: Any) -> Any:  # noqa: N802
        found = self._writable(request.collection)
        names = self._selected(found, request)
        for name in names:
            del found.points[name]
        return pb.DeletePointsResponse(deleted=len(names))

    @logged
    def OptimizeCollection(self, request: Any) -> Any:  # noqa: N802
        made = start(self.world, "optimize", request.collection, {"segments": 1, "bytes_freed": 0})
        return pb.OptimizeCollectionResponse(operation=made)

    @logged
    def MeasureRecall(self, request: Any) -> Any:  # noqa: N802
        return pb.MeasureRecallResponse(recall=0.9, low=0.8, high=1.0, samples=request.samples)

    def _writable(self, name: str) -> FakeCollection:
        found = self.world.collection(name)
        if found.read_only:
            raise CallFailed(grpc.StatusCode.FAILED_PRECONDITION, f"{name} is read-only")
        return found

    def _selected(self, found: FakeCollection, request: Any) -> list[str]:
        if request.HasField("filter"):
            return list(found.passing(request))
        return [name for name in request.ids.ids if name in found.points]

    def _batch(self, found: FakeCollection, names: list[str], request: Any) -> pb.PointBatch:
        points = [found.points[name] for name in names]
        vectors = as_rows([p.vector for p in points]) if points else None
        return pb.PointBatch(
            ids=names,
            vectors=pack(vectors) if request.with_vectors and vectors is not None else None,
            payloads=[] if request.without_payload else [p.payload for p in points],
            modalities=[p.modality for p in points],  # type: ignore[misc]
        )
