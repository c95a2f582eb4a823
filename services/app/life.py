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
from services.app.metrics import MetricsServer
from services.app.settings import Settings
from services.rpc.listening import is_loopback
from services.runtime.models import Model

logger = logging.getLogger(__name__)

# what closing files and ending threads may take at least, beyond the grace for running calls
MIN_CLOSE_S = 5.0

Greeting = Callable[[str], Awaitable[None]]


async def serve(settings: Settings, greet: Greeting | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then lets running calls end.

    Both ports are taken before models load; callers who connect meanwhile wait.

    Args:
        greet: called with the address when the service answers.

    Raises:
        SettingsError, LockedError, StorageError, EmbedderError, ListenError
    """
    started = time.perf_counter()
    stop = stop_event()
    application = compose(settings)
    metrics: MetricsServer | None = None
    try:
        port = application.rpc.bind()
        metrics = bind_metrics(application)
        warn_of_strangers(settings)
        await until(stop, load_models(application))
        if stop.is_set():
            return
        await answer(application, metrics)
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
    finally:
        with ended_by_force(max(settings.drain_s, MIN_CLOSE_S)):
            if metrics is not None:
                await asyncio.to_thread(metrics.close)
            await application.close()
    logger.info("stopped")


async def answer(application: Application, metrics: MetricsServer | None) -> None:
    """Opens both ports."""
    await application.rpc.start()
    if metrics is not None:
        metrics.start()
        logger.info("metrics", extra={"address": metrics.address})


def bind_metrics(application: Application) -> MetricsServer | None:
    """The metrics endpoint, where one is configured; it does not answer yet.

    Raises:
        ListenError
    """
    listen = application.settings.metrics_listen
    return MetricsServer(listen, application) if listen else None


def warn_of_strangers(settings: Settings) -> None:
    """Tells where others than this machine can reach a port."""
    addresses = {"listen": settings.listen, "metrics_listen": settings.metrics_listen}
    for setting, address in addresses.items():
        if address and not is_loopback(address):
            logger.warning(
                "listening beyond this machine, without encryption or authentication: put both"
                " in front, or listen on 127.0.0.1",
                extra={"setting": setting, "address": address},
            )


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


async def load_models(application: Application) -> None:
    """Loads the models to preload, and asks every canary once."""
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
