"""Calls about collections as a whole."""

from latentspace.aio.operations import AsyncOperationCalls
from latentspace.calls import CallKind
from latentspace.enums import Metric
from latentspace.errors import AlreadyExistsError
from latentspace.requests.collections import (
    Fields,
    check_declared_alike,
    create_request,
    update_request,
)
from latentspace.requests.options import IndexParams, SearchParams
from latentspace.results.collection import Collection
from latentspace.results.listing import Listing
from latentspace.v1 import collection_service_pb2


class AsyncCollectionCalls(AsyncOperationCalls):
    """Collections: create, look up, change, delete, rename by alias."""

    async def create_collection(
        self,
        collection: str,
        *,
        model: str = "",
        dim: int = 0,
        metric: Metric | str = Metric.COSINE,
        recipe: str = "auto",
        fields: Fields | None = None,
        index: IndexParams | None = None,
        search: SearchParams | None = None,
        space_id: str = "",
        exist_ok: bool = False,
        timeout_s: float | None = None,
    ) -> Collection:
        """Creates a collection.

        Args:
            collection: 1 to 128 of letters, digits, ".", "_", "-"; begins with a letter or digit.
            model: whose space it holds; raw items are embedded with it.
            dim: numbers a vector, for the caller's own vectors.
            metric: "cosine", "dot" or "l2".
            recipe: "auto", "exact", "hnsw", "ivf_pq", ... or "factory:" and a FAISS string.
            fields: payload fields that filters read, as {"year": "int", "tag": "keyword"}.
            index: parameters of index building.
            search: default effort of searches.
            exist_ok: a collection of this name that is declared alike is returned as it is.

        Raises:
            AlreadyExistsError: the name is taken; with `exist_ok`, by a collection that is
                declared otherwise, and the message says in what.
        """
        request = create_request(
            collection,
            model=model,
            dim=dim,
            space_id=space_id,
            metric=metric,
            recipe=recipe,
            fields=fields,
            index=index,
            search=search,
        )
        try:
            reply = await self._rpc.unary(
                self._stubs.collections.CreateCollection, request, CallKind.CREATE, timeout_s
            )
        except AlreadyExistsError:
            if not exist_ok:
                raise
            existing = await self.collection(collection, timeout_s=timeout_s)
            check_declared_alike(existing, request)
            return existing
        return Collection.from_message(reply.collection)

    async def collection(self, collection: str, *, timeout_s: float | None = None) -> Collection:
        """One collection, by name or alias.

        Raises:
            NotFoundError: there is none of this name.
        """
        request = collection_service_pb2.GetCollectionRequest(collection=collection)
        reply = await self._rpc.unary(
            self._stubs.collections.GetCollection, request, CallKind.READ, timeout_s
        )
        return Collection.from_message(reply.collection)

    async def collections(self, *, timeout_s: float | None = None) -> Listing[Collection]:
        """All collections by name, the read-only ones of vocabularies too."""
        request = collection_service_pb2.ListCollectionsRequest()
        reply = await self._rpc.unary(
            self._stubs.collections.ListCollections, request, CallKind.READ, timeout_s
        )
        return Listing(map(Collection.from_message, reply.collections))

    async def delete_collection(self, collection: str, *, timeout_s: float | None = None) -> None:
        """Deletes a collection and its files; an alias is refused."""
        request = collection_service_pb2.DeleteCollectionRequest(collection=collection)
        await self._rpc.unary(
            self._stubs.collections.DeleteCollection, request, CallKind.CREATE, timeout_s
        )

    async def update_collection(
        self,
        collection: str,
        *,
        add_fields: Fields | None = None,
        recipe: str | None = None,
        index: IndexParams | None = None,
        search: SearchParams | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> Collection:
        """Declares fields, sets default effort, or changes the recipe in place.

        Args:
            wait: for a new recipe to be in force; without, the old one answers until then.
        """
        request = update_request(
            collection, add_fields=add_fields, recipe=recipe, index=index, search=search
        )
        reply = await self._rpc.unary(
            self._stubs.collections.UpdateCollection, request, CallKind.CREATE, timeout_s
        )
        # only a new recipe is long work
        if wait and reply.HasField("operation"):
            await self._started(reply.operation, wait, timeout_s)
            return await self.collection(collection)
        return Collection.from_message(reply.collection)

    async def set_alias(
        self, alias: str, collection: str, *, timeout_s: float | None = None
    ) -> str:
        """Points an alias at a collection, at once; returns what it stood for before, or ""."""
        request = collection_service_pb2.SetAliasRequest(alias=alias, collection=collection)
        reply = await self._rpc.unary(
            self._stubs.collections.SetAlias, request, CallKind.WRITE, timeout_s
        )
        return reply.previous_collection

    async def delete_alias(self, alias: str, *, timeout_s: float | None = None) -> None:
        """Removes an alias; its collection stays."""
        request = collection_service_pb2.DeleteAliasRequest(alias=alias)
        await self._rpc.unary(
            self._stubs.collections.DeleteAlias, request, CallKind.CREATE, timeout_s
        )
