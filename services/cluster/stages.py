"""The stages of a job, each in processes of its own: compare, encode, write."""

import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from embedders.base import Item, Modality
from embedders.errors import EmbedderError
from index.store.accept import unacceptable
from index.types import FieldType
from latentspace.errors import LatentspaceError
from latentspace.indexing.comparing import Read, changed, new_point, read, settings_of
from latentspace.indexing.engines import EngineError
from latentspace.indexing.job import patient, refused
from latentspace.indexing.mirroring import SourceIds
from latentspace.indexing.options import JobOptions
from latentspace.indexing.records import BadRecord
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput, VectorInput
from latentspace.payloads import dump_payload
from latentspace.requests.importing import NewPoint
from latentspace.requests.options import embed_options
from latentspace.results.collection import Collection
from latentspace.status import error_from_status
from latentspace.sync.client import Client
from latentspace.v1.types_pb2 import EmbedOptions
from services.cluster.hosting import HostedModel, ModelSpec
from services.cluster.parcels import Parcel, pack, unpack
from services.rpc.inputs import read_options
from services.rpc.status import status_of
from services.runtime.errors import ServiceError

logger = logging.getLogger(__name__)

# what stands in records whose input has gone its way
NOTHING = TextInput("")


class Stage(ABC):
    """One step of every parcel; what breaks the job goes on to its caller, in the parcel."""

    def __call__(self, table: Any) -> Any:
        """The step, as Ray Data calls it."""
        return pack(map(self._tried, unpack(table)))

    def _tried(self, parcel: Parcel) -> Parcel:
        if parcel.told.broken is None:
            try:
                self.work(parcel)
            except LatentspaceError as error:
                parcel.told.broken = error
            except (EmbedderError, ServiceError) as error:
                parcel.told.broken = error_from_status(status_of(error))
            except Exception as error:
                # Ray would tell its caller of a traceback, not of what went wrong
                logger.exception("stage failed")
                where = f"{type(self).__name__.lower()} on {socket.gethostname()}"
                parcel.told.broken = EngineError(f"{where}: {type(error).__name__}: {error}")
        if parcel.told.broken is not None:
            parcel.records = parcel.points = ()
        return parcel

    @abstractmethod
    def work(self, parcel: Parcel) -> None:
        """Takes what the stage before has made, and puts what it makes of it in its place.

        Raises:
            LatentspaceError, EmbedderError, ServiceError: the job cannot go on.
        """


class Patient:
    """A connection to the server, made when it is needed; a server that is away is waited for."""

    def __init__(self, server: str) -> None:
        self._server = server

    @cached_property
    def client(self) -> Client:
        """The client."""
        return patient(Client(self._server))


class Compare(Stage):
    """Reads images, and leaves out what is stored as it is."""

    def __init__(self, server: str, options: JobOptions) -> None:
        self._server, self._options = Patient(server), options
        self._settings = settings_of(options)

    @cached_property
    def _collection(self) -> Collection:
        return self._server.client.collection(self._options.collection)

    def work(self, parcel: Parcel) -> None:
        """Records to those that have to be written, made smaller where that is wanted."""
        told = parcel.told
        good: list[Read] = []
        for item in (read(one, self._settings, self._collection.dim) for one in parcel.records):
            if isinstance(item, BadRecord):
                told.failures.append(item)
            else:
                good.append(item)
        if self._options.delete_missing:
            told.ids = SourceIds()
            for record in parcel.records:
                told.ids.add(record)
        to_write = changed(self._server.client, self._options.collection, good) if good else []
        told.unchanged = len(good) - len(to_write)
        points = [new_point(one, self._options.resize) for one in to_write]
        refused_early = self._unacceptable(points)
        for i, error in refused_early.items():
            told.failures.append(bad_record(points[i].id, to_write[i].record.place, error))
        kept = [i for i in range(len(points)) if i not in refused_early]
        parcel.points = [points[i] for i in kept]
        # the input went into the point
        parcel.records = [replace(to_write[i].record, input=NOTHING) for i in kept]

    def _unacceptable(self, points: list[NewPoint]) -> Mapping[int, Exception]:
        """What the server would refuse by ids and payloads, which costs no encoding then."""
        fields = {name: FieldType(kind) for name, kind in self._collection.fields.items() if kind}
        return unacceptable(
            [point.id for point in points],
            [dump_payload(point.payload) for point in points],
            fields,
        )


class Encode(Stage):
    """Embeds what is no vector yet, with the collection's model."""

    def __init__(self, spec: ModelSpec, options: JobOptions) -> None:
        self._spec = spec
        self._options = read_options(embed_options(options.embed) or EmbedOptions(), "document")

    @cached_property
    def _model(self) -> HostedModel:
        return HostedModel(self._spec)

    def work(self, parcel: Parcel) -> None:
        """Points of raw inputs to points of vectors; what cannot be embedded is told."""
        raw = [i for i, one in enumerate(parcel.points) if not isinstance(one.input, VectorInput)]
        if not raw:
            return
        items = [item_of(parcel.points[i].input) for i in raw]
        vectors, errors = self._model.embed(items, self._options)
        points: list[NewPoint | None] = list(parcel.points)
        for place, i in enumerate(raw):
            point = parcel.points[i]
            if place in errors:
                points[i] = None
                where = parcel.records[i].place
                parcel.told.failures.append(bad_record(point.id, where, errors[place]))
                continue
            points[i] = NewPoint(point.id, vectors[place], point.payload)
        kept = [i for i, one in enumerate(points) if one is not None]
        parcel.records = [parcel.records[i] for i in kept]
        parcel.points = [one for one in points if one is not None]


class Write(Stage):
    """Writes points through ImportPoints."""

    def __init__(self, server: str, options: JobOptions) -> None:
        self._server, self._options = Patient(server), options

    def work(self, parcel: Parcel) -> None:
        """Points to counts of them."""
        if not parcel.points:
            return
        places = {record.id: record.place for record in parcel.records}
        for batch in self._server.client.upsert_stream(
            self._options.collection,
            parcel.points,
            options=self._options.embed,
            batch_items=self._options.batch_items,
            on_error="return",
        ):
            parcel.told.written += batch.written
            parcel.told.failures += refused(batch, [places[id] for id in batch.ids])
        parcel.records = parcel.points = ()


def item_of(given: Input) -> Item:
    """An input as encoders take it."""
    match given:
        case TextInput():
            return Item(Modality.TEXT, given.value)
        case KeyInput():
            return Item(Modality.KEY, given.value)
        case ImageInput():
            assert isinstance(given.source, bytes), "images were read"
            return Item(Modality.IMAGE, given.source)
    raise TypeError(f"a source does not give {type(given).__name__}")


def bad_record(point_id: str, place: str, error: Exception) -> BadRecord:
    """What could not be embedded, told as the server would."""
    told = error_from_status(status_of(error))
    return BadRecord(place, told.reason or told.code.name, told.message, point_id)
