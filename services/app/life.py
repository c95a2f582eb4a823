"""The life of a server process: load, prove, open, drain."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from services.app.composition import Application, compose
from services.app.metrics import MetricsServer, start_metrics
from services.app.settings import Settings
from services.runtime.models import Model

logger = logging.getLogger(__name__)

# what closing files and ending threads may take at least, beyond the grace for running calls
MIN_CLOSE_S = 5.0

Greeting = Callable[[str], Awaitable[None]]


async def serve(settings: Settings, greet: Greeting | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then lets running calls end.

    Args:
        greet: called with the address when the service answers.

    Raises:
        SettingsError, LockedError, StorageError, EmbedderError, ListenError
    """
    started = time.perf_counter()
    stop = stop_event()
    application = compose(settings)
    try:
        await until(stop, load_models(application))
        if stop.is_set():
            return
        port = await application.rpc.start()
        metrics = open_metrics(application)
        address = f"{settings.listen.rpartition(':')[0]}:{port}"
        logger.info(
            "serving",
            extra={
                "address": address,
                "data_dir": str(settings.data_dir),
                "seconds": round(time.perf_counter() - started, 1),
            },
        )
        if greet is not None:
            await until(stop, greet(address))
        await stop.wait()
        logger.info("draining", extra={"grace_s": settings.drain_s})
        await application.watcher.close()
        application.operations.end_jobs()
        await application.rpc.stop(settings.drain_s)
        if metrics is not None:
            await asyncio.to_thread(metrics.close)
    finally:
        with ended_by_force(max(settings.drain_s, MIN_CLOSE_S)):
            await application.close()
    logger.info("stopped")


@contextmanager
def ended_by_force(seconds: float) -> Iterator[None]:
    """Ends the process where the work takes longer: a thread that hangs cannot be stopped.

    Nothing is lost: what was acknowledged is on disk.
    """

    def end() -> None:
        logger.error("work hangs, ending without it", extra={"seconds": seconds})
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def open_metrics(application: Application) -> MetricsServer | None:
    """The metrics endpoint, where one is configured.

    Raises:
        OSError: its address cannot be opened.
    """
    if not (listen := application.settings.metrics_listen):
        return None
    metrics = start_metrics(listen, application)
    address = f"http://{listen.rpartition(':')[0]}:{metrics.port}/metrics"
    logger.info("metrics", extra={"address": address})
    return metrics


async def load_models(application: Application) -> None:
    """Loads the models that are wanted before the port opens, and asks every canary once."""
    await application.collections.embedder.start()
    for model in application.models.all():
        if model.config.preload:
            await load_one(application, model)
    await application.watcher.start()


async def load_one(application: Application, model: Model) -> None:
    """Loads a model; of one that is not required, a failure is told and the others go on.

    Raises:
        EmbedderError: a required one.
    """
    try:
        await application.models.load(model.config.id)
    except Exception as error:
        if model.config.required:
            raise
        logger.error(
            "model not loaded",
            extra={"model": model.config.id, "error": model.reason or str(error)},
        )


def stop_event() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; a second signal ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    return stop


async def until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Work, given up when the process is asked to stop."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if not task.done():
        task.cancel()
        return
    task.result()
