"""Models that callers add while the server runs, and the deleting of added and trained ones."""

import asyncio
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from embedders import registry
from embedders.errors import ModelError, OptionError
from embedders.options import file_options, read_options
from services.runtime.catalog import Catalog
from services.runtime.errors import (
    ModelConfiguredError,
    ModelInUseError,
    RequestError,
    SourceDeniedError,
)
from services.runtime.label_sets import LabelSets
from services.runtime.models import Model, ModelConfig, ModelOrigin
from services.runtime.pools import run_in
from services.runtime.records import RecordReader
from services.runtime.sources import Sources
from services.runtime.training import Training

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model to add.

    Args:
        source: file or folder below an allowed root; "" is the family's own packaged weights.
        options: the family's.
        load: load it now, and add nothing where that fails.
    """

    model: str
    family: str
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    load: bool = True


class ModelShelf:
    """Adds models to a running server and deletes them; the catalogue keeps what was added."""

    def __init__(
        self, catalog: Catalog, training: Training, label_sets: LabelSets, sources: Sources
    ) -> None:
        self._catalog, self._training = catalog, training
        self._label_sets, self._sources = label_sets, sources
        self._collections = training.collections
        self.models = training.collections.models
        self._changing = asyncio.Lock()
        for config in self._recall():
            self.models.add(config)

    async def add(self, new: NewModel) -> Model:
        """Adds a model, and loads it where that is wanted.

        Raises:
            RequestError, OptionError, SourceDeniedError, ModelExistsError, CollectionExistsError
            MissingExtraError: a package is not installed.
            EmbedderError: it cannot be loaded; nothing is added.
        """
        pool = self._collections.pools.prepare
        source, options = await run_in(pool, self._checked, new)
        async with self._changing:
            self._training.check_free(new.model)
            config = ModelConfig(
                new.model, new.family, source, options, new.load, False, ModelOrigin.ADDED
            )
            model = self.models.add(config)
            try:
                if new.load:
                    await self.models.load(new.model)
                record = json.dumps(asdict(replace(new, source=source, options=options)))
                await run_in(pool, self._catalog.save_added_model, new.model, record)
            except BaseException:
                await asyncio.shield(self.models.remove(new.model))
                raise
        logger.info("model added", extra={"model": new.model, "family": new.family})
        return model

    async def delete(self, model_id: str, force: bool = False) -> None:
        """Deletes a model that was added or trained; of a trained one the files too.

        Args:
            force: even where collections or label sets are of this model; they stay.

        Raises:
            ModelNotFoundError, ModelConfiguredError, ModelInUseError
            RequestError: its files cannot be deleted.
        """
        async with self._changing:
            origin = self.models.get(model_id).config.origin
            if origin is ModelOrigin.CONFIGURED:
                raise ModelConfiguredError(model_id)
            if not force and (users := self._users_of(model_id)):
                raise ModelInUseError(model_id, users)
            await self.models.remove(model_id)
            pool = self._collections.pools.prepare
            if origin is ModelOrigin.TRAINED:
                await run_in(pool, self._forget_trained, model_id)
            else:
                await run_in(pool, self._catalog.delete_added_model, model_id)
        logger.info("model deleted", extra={"model": model_id, "origin": str(origin)})

    def _users_of(self, model_id: str) -> list[str]:
        """What would miss the model, as "collection photos"."""
        named = self._collections.all()
        stored = (one.info for one in named if not one.info.read_only)
        vocabulary = (one for one in named if one.info.read_only and one.info.name == model_id)
        return [
            *(f"collection {info.name}" for info in stored if info.spec.model == model_id),
            *(f"alias {alias}" for one in vocabulary for alias in one.aliases),
            *(f"label set {one.name}" for one in self._label_sets.all() if one.model == model_id),
        ]

    def _forget_trained(self, model_id: str) -> None:
        self._catalog.delete_trained_model(model_id)
        folder = self._training.folder_of(model_id)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RequestError(
                "model",
                f"model {model_id!r} is forgotten, but its files stay: {error};"
                f" delete {folder} by hand",
            ) from error

    def _checked(self, new: NewModel) -> tuple[str, dict[str, Any]]:
        """Source and options with their files as absolute paths below the roots."""
        if new.family not in registry.families():
            known = ", ".join(registry.families())
            raise RequestError("family", f"family {new.family[:40]!r} is unknown; one of: {known}")
        source = str(self._sources.find(new.source)) if new.source else ""
        kind = registry.options_type(new.family)
        options = dict(new.options)
        builtin: dict[str, tuple[str, ...]] = {}
        if kind is not None:
            try:
                read_options(kind, options, f"model {new.model!r}")
            except OptionError as error:
                raise RequestError(f"options.{error.field}", str(error)) from error
            builtin = {name: mark.builtin for name, mark in file_options(kind).items()}
        for name, value in options.items():
            is_file = name in builtin if kind is not None else "/" in str(value)
            if is_file and value and value not in builtin.get(name, ()):
                options[name] = str(self._sources.find(str(value), f"options.{name}"))
        return source, options

    def _recall(self) -> list[ModelConfig]:
        """Models that were added before; none whose files the roots no longer allow."""
        configs, reader = [], RecordReader(NewModel)
        for model, text in self._catalog.added_models().items():
            new = reader.read(text, f"added model {model}")
            if new is None:
                continue
            if model in self.models:
                logger.warning("a configured model hides an added one", extra={"model": model})
                continue
            try:
                source, options = self._checked(new)
            except (RequestError, SourceDeniedError, ModelError) as error:
                extra = {"model": model, "error": str(error)}
                logger.warning("an added model is left out", extra=extra)
                continue
            configs.append(
                ModelConfig(model, new.family, source, options, new.load, False, ModelOrigin.ADDED)
            )
        return configs
