"""Calls about models."""
# Generated from aio/models.py by scripts/generate_sync_client.py; edit that.

from collections.abc import Mapping
from typing import Any

from latentspace.calls import CallKind
from latentspace.payloads import dump_payload
from latentspace.results.listing import Listing
from latentspace.results.model import Model
from latentspace.sync.base import Calls
from latentspace.v1 import embedding_service_pb2


class ModelCalls(Calls):
    """Models: list, look up, load, unload, add, delete."""

    def models(self, *, timeout_s: float | None = None) -> Listing[Model]:
        """All configured models, loaded or not, by id."""
        request = embedding_service_pb2.ListModelsRequest()
        reply = self._rpc.unary(self._stubs.embedding.ListModels, request, CallKind.READ, timeout_s)
        return Listing(map(Model.from_message, reply.models))

    def model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """One model.

        Raises:
            NotFoundError: it is not configured.
        """
        request = embedding_service_pb2.GetModelRequest(model=model)
        reply = self._rpc.unary(self._stubs.embedding.GetModel, request, CallKind.READ, timeout_s)
        return Model.from_message(reply.model)

    def load_model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """Loads a configured model and waits until it answers."""
        request = embedding_service_pb2.LoadModelRequest(model=model)
        reply = self._rpc.unary(self._stubs.embedding.LoadModel, request, CallKind.LOAD, timeout_s)
        return Model.from_message(reply.model)

    def unload_model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """Unloads a model and gives its memory back."""
        request = embedding_service_pb2.UnloadModelRequest(model=model)
        reply = self._rpc.unary(
            self._stubs.embedding.UnloadModel, request, CallKind.LOAD, timeout_s
        )
        return Model.from_message(reply.model)

    def add_model(
        self,
        model: str,
        *,
        family: str,
        source: str = "",
        options: Mapping[str, Any] | None = None,
        load: bool = True,
        timeout_s: float | None = None,
    ) -> Model:
        """Adds a model from a file or folder of the server; it is there after a restart too.

        Args:
            source: below one of the server's `roots`; "" is the family's own packaged weights.
            options: the family's options, as in the settings.
            load: load it now; where that fails nothing is added.

        Raises:
            PermissionDeniedError: the source is outside the server's roots.
            AlreadyExistsError: the id is a model's or a collection's.
        """
        request = embedding_service_pb2.AddModelRequest(
            model=model,
            family=family,
            source=source,
            options=dump_payload(options) if options else b"",
            without_load=not load,
        )
        reply = self._rpc.unary(self._stubs.embedding.AddModel, request, CallKind.LABELS, timeout_s)
        return Model.from_message(reply.model)

    def delete_model(
        self, model: str, *, force: bool = False, timeout_s: float | None = None
    ) -> None:
        """Deletes a model that was added or trained; the files of a trained one go too.

        Args:
            force: even where collections or label sets are of this model; they stay.

        Raises:
            FailedPreconditionError: it stands in the settings, or is in use.
        """
        request = embedding_service_pb2.DeleteModelRequest(model=model, force=force)
        self._rpc.unary(self._stubs.embedding.DeleteModel, request, CallKind.CREATE, timeout_s)
