"""Tracing, where it is wanted; its packages are imported only then."""

from typing import Protocol

from embedders.errors import MissingExtraError
from services.app.settings import TracingSettings
from services.rpc.observing import CallTracer


class Tracer(CallTracer, Protocol):
    """Hears of calls until it is closed."""

    def close(self) -> None:
        """Sends what is left."""


def open_tracer(settings: TracingSettings) -> Tracer | None:
    """The tracer of the settings; None where no endpoint is named.

    Raises:
        MissingExtraError
    """
    if not settings.endpoint:
        return None
    try:
        from services.app.tracing import OtlpTracer
    except ModuleNotFoundError as error:
        # a fault of our own must not be called a missing package
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise MissingExtraError("tracing", error.name or "opentelemetry", "tracing") from error
    return OtlpTracer(settings)
