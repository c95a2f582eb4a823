"""The engine `ray` of `latentspace index --ray`: a job on a Ray cluster.

Ray Data streams the source through four stages, each in processes of its own:

    read (tasks) -> compare (actors) -> encode (actors, with the model) -> write (actors)

Vectors are made on the cluster and go to the service through ImportPoints. Points are the same as
those of a job without Ray: the same records, digests, options and weights.
"""

import logging
import os
import socket
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

# Ray reports its use to its makers unless it is told not to, and its core writes warnings to the
# standard error of its callers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from latentspace.indexing.engines import ClusterOptions, EngineError
from latentspace.indexing.job import patient
from latentspace.indexing.mirroring import SourceIds, delete_missing
from latentspace.indexing.options import JobOptions, OnFailed, OnProgress, Progress, SourceError
from latentspace.indexing.records import Source
from latentspace.indexing.sources.opening import STDIN_NAME
from latentspace.indexing.tally import Tally
from latentspace.results.collection import Collection
from latentspace.sync.client import Client
from services.cluster.hosting import ModelSpec
from services.cluster.parcels import Told, unpack
from services.cluster.reading import RecordsDatasource
from services.cluster.stages import Compare, Encode, Stage, Write

# Shares of a core, for Ray's book-keeping: what reads and writes mostly waits, and encoders must
# never take up so much that nothing is left for those who feed them.
LIGHT_CPUS, ENCODER_CPUS = 0.1, 0.5
# another share than that of `Compare`, or Ray would do both in one process, as many as readers
READER_CPUS = 0.2
MAX_THREADS = 8
CONNECT_S = 5.0
TOKENS = " (a cluster that asks for tokens wants RAY_AUTH_MODE=token here too)"
# a parcel makes a block of its own: as small a share as an encoder can get
BLOCK_BYTES = 1 << 12


def run_ray_job(
    server: str,
    source: Source,
    options: JobOptions,
    cluster: ClusterOptions,
    on_progress: OnProgress | None = None,
    on_failed: OnFailed | None = None,
) -> Progress:
    """Does what `latentspace.indexing.job.run_job` does, on a cluster.

    Args:
        server: HOST:PORT of the service, as the machines of the cluster reach it.
        source: on storage that those machines see by the same path.

    Raises:
        EngineError: the cluster cannot be reached, or its processes fail.
        SourceError, TooManyErrorsError, LatentspaceError: as `run_job`.
    """
    if source.name == STDIN_NAME:
        raise SourceError("a cluster cannot read this standard input: name a file")
    with Client(server) as client, patient(client) as waiting:
        found = client.collection(options.collection)
        model = model_of(client, found)
        tally = Tally(source.count(), options.max_errors, on_progress, on_failed)
        finished = False
        try:
            with connected(cluster.address):
                ids = _write(server, source, options, cluster, model, tally)
            if options.delete_missing:
                delete_missing(waiting, options.collection, source.name, ids, tally)
            finished = True
        finally:
            progress = tally.end(finished=finished)
    return progress


def model_of(client: Client, collection: Collection) -> ModelSpec | None:
    """The model that encoders load; None where the collection has none.

    Raises:
        LatentspaceError: the server does not know it.
    """
    if not collection.model:
        return None
    model = client.model(collection.model)
    return ModelSpec(
        model.id, model.family, model.source, model.space_id, model.options, collection.dim
    )


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster; one that is there already is used and stays.

    Raises:
        EngineError
    """
    if ray.is_initialized():
        yield
        return
    if address.startswith("ray://"):
        raise EngineError(
            f"{address}: Ray Data does not run through Ray Client: run this on a machine of the"
            " cluster, with the address auto, or HOST:PORT of its head"
        )
    try:
        _check_reachable(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        tokens = "" if "RAY_AUTH_MODE" in os.environ else TOKENS
        raise EngineError(f"no Ray cluster answers at {address!r}: {error}{tokens}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes.

    Raises:
        OSError, ValueError
    """
    if ":" in address:
        parts = urlsplit(f"//{address}")
        socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()


def _write(
    server: str,
    source: Source,
    options: JobOptions,
    cluster: ClusterOptions,
    model: ModelSpec | None,
    tally: Tally,
) -> SourceIds:
    """Ids of the source, where they are wanted.

    Raises:
        SourceError: when all that came before the fault is written.
    """
    ids, cut_off = SourceIds(), None
    with closing(_outcomes(server, source, options, cluster, model)) as outcomes:
        for told in outcomes:
            if isinstance(told.broken, SourceError):
                cut_off = told.broken
            elif told.broken is not None:
                raise told.broken
            tally.add(read=told.read, unchanged=told.unchanged, written=told.written)
            for bad in told.failures:
                tally.fail(bad)
            if told.ids is not None:
                ids.extend(told.ids)
    if cut_off is not None:
        raise cut_off
    return ids


def _outcomes(
    server: str,
    source: Source,
    options: JobOptions,
    cluster: ClusterOptions,
    model: ModelSpec | None,
) -> Generator[Told, None, None]:
    with _quiet():
        data = ray.data.read_datasource(
            RecordsDatasource(source, cluster.readers, options.batch_items),
            override_num_blocks=cluster.readers,
            num_cpus=READER_CPUS,
        )
        cores = ray.cluster_resources().get("CPU", 1)
        some = ActorPoolStrategy(min_size=1, max_size=max(1, int(cores)))
        data = _staged(data, Compare, (server, options), some, num_cpus=LIGHT_CPUS)
        if model is not None:
            count, spec = encoders(model, cluster)
            share = {"num_cpus": ENCODER_CPUS, "num_gpus": cluster.gpus}
            data = _staged(data, Encode, (spec, options), ActorPoolStrategy(size=count), **share)
        data = _staged(data, Write, (server, options), some, num_cpus=LIGHT_CPUS)
        try:
            for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
                for parcel in unpack(table):
                    yield parcel.told
        except RayError as error:
            raise EngineError(f"a process of the cluster failed: {error}") from error


def encoders(model: ModelSpec, cluster: ClusterOptions) -> tuple[int, ModelSpec]:
    """How many processes encode, and what each loads: one a share of a GPU, or one a core.

    Raises:
        EngineError: there is no GPU.
    """
    has = ray.cluster_resources()
    cores, gpus = int(has.get("CPU", 1)), has.get("GPU", 0.0)
    if cluster.gpus > gpus:
        raise EngineError(f"each encoder is to have {cluster.gpus} GPUs, the cluster has {gpus}")
    # of the cores one is left to those who read and write
    fit = int(gpus / cluster.gpus) if cluster.gpus else max(1, cores - 1)
    count = cluster.encoders or fit
    threads = min(MAX_THREADS, max(1, cores // count)) if cluster.gpus else 1
    return count, replace(model, threads=threads)


def _staged(
    data: Any, stage: type[Stage], arguments: Any, pool: ActorPoolStrategy, **resources: float
) -> Any:
    return data.map_batches(
        stage,
        batch_size=None,
        batch_format="pyarrow",
        compute=pool,
        fn_constructor_args=arguments,
        **resources,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Data without its own bars and lines, in small blocks."""
    context = DataContext.get_current()
    wanted = {
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "target_max_block_size": BLOCK_BYTES,
    }
    before = {name: getattr(context, name) for name in wanted}
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)
