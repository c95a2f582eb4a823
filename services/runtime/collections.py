"""Collections by name: stored ones, vocabularies, aliases."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from embedders.base import EncodeOptions, Item
from embedders.sources import FORMER_DEFAULTS
from index.base import Collection, Engine
from index.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    ReadOnlyError,
    SpecError,
    StorageError,
)
from index.types import CollectionInfo, CollectionSpec
from services.runtime.catalog import Catalog
from services.runtime.embedder import Embedder
from services.runtime.encoding import EmbedResult
from services.runtime.errors import AliasError, AliasNotFoundError, RequestError, SpaceMismatchError
from services.runtime.models import ModelConfig, ModelRegistry
from services.runtime.pools import run_in
from services.runtime.searching import SearchLanes

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class NamedCollection:
    """A collection and its other names."""

    info: CollectionInfo
    aliases: tuple[str, ...]


class Collections:
    """What a name stands for, and the calls that concern whole collections."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        models: ModelRegistry,
        embedder: Embedder,
        lanes: SearchLanes,
    ) -> None:
        self.engine, self.models, self.embedder, self.lanes = engine, models, embedder, lanes
        self.pools = lanes.pools
        self._catalog = catalog
        self._aliases = catalog.aliases()
        models.name_taken = lambda name: name in engine.names()

    def get(self, name: str) -> Collection:
        """The collection of a name or alias.

        Raises:
            CollectionNotFoundError
        """
        name = self._aliases.get(name, name)
        vocabulary = self.models.vocabularies().get(name)
        if vocabulary is not None:
            return vocabulary
        try:
            return self.engine.get(name)
        except CollectionNotFoundError:
            raise CollectionNotFoundError(name, self._names()) from None

    def _names(self) -> set[str]:
        """What stands for a collection."""
        return {*self._aliases, *self.models.vocabularies(), *self.engine.names()}

    def describe(self, collection: Collection) -> NamedCollection:
        """The collection as it is now, with its aliases."""
        info = collection.info
        names = sorted(alias for alias, target in self._aliases.items() if target == info.name)
        return NamedCollection(info, tuple(names))

    def all(self) -> list[NamedCollection]:
        """Every collection that can be opened, vocabularies too, by name."""
        found: dict[str, Collection] = dict(self.models.vocabularies())
        for name in self.engine.names():
            try:
                found[name] = self.engine.get(name)
            except CollectionNotFoundError:  # dropped since the names were read
                continue
            except StorageError as error:  # GetCollection tells its caller; the list goes on
                logger.warning(
                    "collection unusable", extra={"collection": name, "error": str(error)}
                )
        return [self.describe(found[name]) for name in sorted(found)]

    async def create(self, name: str, spec: CollectionSpec) -> Collection:
        """A new collection; dimension and space come from the model where one is named.

        Raises:
            SpecError, RequestError, CollectionExistsError, ModelNotFoundError
        """
        check_name("collection", name)
        self.check_free(name)
        return await run_in(self.pools.write, self.engine.create, name, self._complete(spec))

    def check_free(self, name: str) -> None:
        """Refuses names that stand for something.

        Raises:
            CollectionExistsError
        """
        taken = name in self._aliases or name in self.models.vocabularies()
        if taken or name in self.engine.names():
            raise CollectionExistsError(name)

    async def drop(self, name: str) -> None:
        """Deletes a collection, its files and its aliases.

        Raises:
            AliasError: an alias was given. ReadOnlyError: a vocabulary.
        """
        if name in self._aliases:
            raise AliasError(
                f"{name!r} is an alias of {self._aliases[name]!r}; delete that, or the alias"
            )
        if name in self.models.vocabularies():
            raise ReadOnlyError(name, "it is the vocabulary of a model; unload the model instead")
        try:
            await run_in(self.pools.write, self.engine.drop, name)
        except CollectionNotFoundError:
            raise CollectionNotFoundError(name, self._names()) from None
        self._catalog.delete_aliases_of(name)
        self._aliases = self._catalog.aliases()

    async def set_alias(self, alias: str, collection: str) -> str:
        """Points an alias at a collection; returns what it stood for before, or "".

        Raises:
            RequestError, CollectionNotFoundError, AliasError
        """
        check_name("alias", alias)
        if alias in self.engine.names() or alias in self.models.vocabularies():
            raise AliasError(f"{alias!r} is the name of a collection; choose another alias")
        target = self.get(collection).info.name
        previous = await run_in(self.pools.write, self._catalog.set_alias, alias, target)
        self._aliases = {**self._aliases, alias: target}
        return previous

    async def delete_alias(self, alias: str) -> None:
        """Removes an alias.

        Raises:
            AliasNotFoundError: there is none of this name.
        """
        if not await run_in(self.pools.write, self._catalog.delete_alias, alias):
            raise AliasNotFoundError(alias, self._aliases)
        self._aliases = {k: v for k, v in self._aliases.items() if k != alias}

    async def embed(
        self,
        collection: Collection,
        field: str,
        items: Sequence[Item],
        options: EncodeOptions,
        deadline: float | None,
        *,
        patient: bool = False,
    ) -> EmbedResult:
        """Raw items in the space of a collection, through its model.

        Args:
            patient: bulk work, which waits where the model is overloaded.

        Raises:
            RequestError: the collection has no model.
            SpaceMismatchError: its model makes another space now.
        """
        if not collection.spec.model:
            raise RequestError(
                field,
                f"collection {collection.name!r} has no model; give vectors instead of raw inputs",
            )
        model = self.models.get(collection.spec.model)
        encoder = model.ready()
        if not options.dimensions and collection.spec.dim < encoder.info.dim:
            options = replace(options, dimensions=collection.spec.dim)
        space = encoder.info.space(options.dimensions)
        if space != collection.spec.space_id:
            cure = changed_model(collection.name, model.config)
            raise SpaceMismatchError(field, space, collection.spec.space_id, cure)
        embed = self.embedder.embed_patiently if patient else self.embedder.embed
        return await embed(model, items, options, deadline)

    def _complete(self, spec: CollectionSpec) -> CollectionSpec:
        """The spec with what its model says."""
        if not spec.model:
            if not spec.dim:
                raise SpecError("spec.dim", "give the dimension of the vectors, or a model")
            return spec
        info = self.models.get(spec.model).ready().info
        if spec.dim > info.dim:
            raise SpecError("spec.dim", f"model {info.id!r} has {info.dim} dimensions")
        dim = spec.dim or info.dim
        space = info.space(dim if dim < info.dim else 0)
        if spec.space_id and spec.space_id != space:
            raise SpaceMismatchError("spec.space_id", spec.space_id, space)
        return replace(spec, dim=dim, space_id=space)


def changed_model(collection: str, config: ModelConfig) -> str:
    """What to do with a collection whose model makes another space now."""
    former = "" if config.source else FORMER_DEFAULTS.get(config.family, "")
    hint = f" (source: {former}, if that was the default then)" if former else ""
    return (
        f"model {config.id!r} has changed since collection {collection!r} was created: name its"
        f" former source in the settings again{hint}, or embed everything anew into another"
        " collection and switch the alias to that"
    )


def check_name(field: str, name: str) -> None:
    """Refuses names that could not be file names.

    Raises:
        RequestError
    """
    if not NAME.fullmatch(name):
        raise RequestError(
            field,
            f"{field} {name[:40]!r} is not a name: 1 to 128 of letters, digits, '.', '_', '-',"
            " beginning with a letter or digit",
        )
