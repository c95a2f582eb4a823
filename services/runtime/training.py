"""Training on the server: checked at once, done in a child process, remembered in the catalogue."""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from embedders.errors import EmbedderError, OptionError
from embedders.options import file_options
from embedders.training import TRAINERS, read_params
from services.runtime.catalog import Catalog
from services.runtime.collections import Collections, check_name
from services.runtime.errors import JobError, ModelExistsError, RequestError
from services.runtime.jobs import Jobs
from services.runtime.models import ModelConfig, ModelOrigin, ModelRegistry
from services.runtime.operations import Operation, Operations, Reporter
from services.runtime.pools import run_in
from services.runtime.records import RecordReader
from services.runtime.sources import Sources

logger = logging.getLogger(__name__)

FUNCTION = "services.runtime.training_job:run"
KIND = "train"
THREADS = "threads"


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What is asked for.

    Args:
        model: id of the new model; "" makes one up.
        source: file or folder below an allowed root.
        load: load the model when it is trained.
    """

    family: str
    model: str
    source: str
    params: Mapping[str, Any]
    load: bool = False


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that was trained here, as the catalogue keeps it.

    Args:
        file: its weights, below the folder of trained models.
        load: load it at the start.
    """

    family: str
    file: str
    load: bool


class Training:
    """Trained models of a server, and the making of more.

    Args:
        folder: where trained models are kept, one folder each.
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        collections: Collections,
        operations: Operations,
        jobs: Jobs,
        sources: Sources,
    ) -> None:
        self._folder, self._catalog = folder, catalog
        self.collections, self._models = collections, collections.models
        self._operations, self._jobs, self._sources = operations, jobs, sources
        for config in recall(catalog, self._models, folder):
            self._models.add(config)

    async def start(self, request: TrainRequest) -> Operation:
        """Checks all that can be checked now, and starts the operation.

        Raises:
            RequestError, ModelExistsError, CollectionExistsError, SourceDeniedError
            MissingExtraError: a package is not installed.
        """
        family = request.family
        if family not in TRAINERS:
            known = ", ".join(sorted(TRAINERS))
            raise RequestError("family", f"family {family!r} has no trainer; one of: {known}")
        model = request.model or f"{family}-{uuid.uuid4().hex[:8]}"
        self.check_free(model)
        pool = self.collections.pools.prepare
        source = await run_in(pool, self._sources.find, request.source)
        params = await run_in(
            pool, checked_params, family, request.params, self._jobs.cores, self._sources
        )
        # again: another call may have come in between
        self.check_free(model)
        work = partial(
            self._work, asyncio.get_running_loop(), family, model, source, params, request.load
        )
        return self._operations.start(KIND, model, "steps", work, job=True)

    def check_free(self, model: str) -> None:
        """Refuses an id that a model has, or will have, or a collection.

        Raises:
            RequestError, ModelExistsError, CollectionExistsError
        """
        check_name("model", model)
        taken = model in self._models or self.folder_of(model).exists()
        if taken or self._operations.active(KIND, model):
            raise ModelExistsError(model)
        # its vocabulary will be a collection of its name
        self.collections.check_free(model)

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        family: str,
        model: str,
        source: Path,
        params: Mapping[str, Any],
        load: bool,
        report: Reporter,
    ) -> Mapping[str, Any]:
        """In a thread: the child trains into a scratch folder, which then becomes the model's."""
        with self._jobs.scratch() as scratch:
            made = scratch / model
            made.mkdir()
            argument = {
                "family": family,
                "model": model,
                "source": str(source),
                "params": params,
                "folder": str(made),
            }
            found = self._jobs.run(FUNCTION, argument, scratch, report)
            report.note(found["metrics"])
            self._keep(made, model, family, found["file"], load)
        path = self.folder_of(model)
        config = ModelConfig(
            model, family, str(path / found["file"]), preload=load, origin=ModelOrigin.TRAINED
        )
        joined = asyncio.run_coroutine_threadsafe(self._join(config), loop).result()
        return {
            "model": model,
            "path": str(path),
            "metrics": found["metrics"],
            "warnings": found["warnings"],
            **joined,
        }

    def _keep(self, made: Path, model: str, family: str, file: str, load: bool) -> None:
        """Known first, then in place: a model without its files is forgotten at the next start."""
        # relative to the folder, which may move with all the data
        record = TrainedModel(family, f"{model}/{file}", load)
        self._catalog.save_trained_model(model, json.dumps(asdict(record)))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            made.rename(self.folder_of(model))
            sync_folder(self._folder)
        except OSError as error:
            self._catalog.delete_trained_model(model)
            raise JobError(f"the model cannot be put into {self._folder}: {error}") from error

    async def _join(self, config: ModelConfig) -> dict[str, Any]:
        """On the loop: the model is listed, and loaded where that was asked for."""
        self._models.add(config)
        if not config.preload:
            return {"loaded": False}
        try:
            await self._models.load(config.id)
        except EmbedderError as error:  # it is trained and kept; only its loading has failed
            return {"loaded": False, "reason": str(error)}
        return {"loaded": True}

    def folder_of(self, model: str) -> Path:
        """Where the files of a trained model are."""
        return self._folder / model


def checked_params(
    family: str, params: Mapping[str, Any], cores: int, sources: Sources
) -> dict[str, Any]:
    """Parameters for the trainer, found to be good.

    Threads are the server's cores at most, and files lie below its roots.

    Raises:
        RequestError, SourceDeniedError: naming the parameter as "params.NAME".
        MissingExtraError: a package is not installed.
    """
    given = dict(params)
    try:
        read = read_params(family, given)
    except OptionError as error:
        raise RequestError(f"params.{error.field}", str(error)) from error
    if THREADS in {field.name for field in fields(read)}:
        asked = given.setdefault(THREADS, cores)
        if asked > cores:
            message = f"training {family}: threads: at most {cores}, the cores of this server"
            raise RequestError(f"params.{THREADS}", message)
    for name in file_options(type(read)):
        if (value := given.get(name)) and value not in file_options(type(read))[name].builtin:
            given[name] = str(sources.find(value, f"params.{name}"))
    return given


def recall(catalog: Catalog, models: ModelRegistry, folder: Path) -> list[ModelConfig]:
    """Models that were trained here before; those whose files are gone are forgotten."""
    found = []
    reader = RecordReader(TrainedModel)
    for model, text in catalog.trained_models().items():
        record = reader.read(text, f"trained model {model}")
        if record is None:
            continue
        path = folder / record.file
        if not path.exists():
            logger.warning("trained model is gone", extra={"model": model, "path": str(path)})
            catalog.delete_trained_model(model)
        elif model in models:
            logger.warning("a configured model hides a trained one", extra={"model": model})
        else:
            config = ModelConfig(
                model, record.family, str(path), preload=record.load, origin=ModelOrigin.TRAINED
            )
            found.append(config)
    return found


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
