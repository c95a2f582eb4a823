"""Structured logs: one line an event, for people or as JSON."""

import json
import logging
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from services.app.settings import LogSettings
from services.app.streams import lines_logged
from services.runtime import request_ids

PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
OURS = ("services", "index", "embedders", "latentspace")
# libraries that speak of their loading, draw bars or print lines of their own
QUIET = {
    "GRPC_VERBOSITY": "NONE",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}

logger = logging.getLogger(__name__)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What an event carries beside its message (`extra=`)."""
    return {name: value for name, value in record.__dict__.items() if name not in PLAIN}


class RequestIds(logging.Filter):
    """Adds to each line the id of the call in whose course it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every line pass."""
        if name := request_ids.current.get():
            record.request_id = name
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, event, the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{name: finite(value) for name, value in fields_of(record).items()},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def finite(value: Any) -> Any:
    """The value; a number that JSON does not have as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class TextFormatter(logging.Formatter):
    """`2026-11-29 12:30:01.123+01:00 info    event  field=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        clock = moment.isoformat(sep=" ", timespec="milliseconds")
        fields = " ".join(f"{name}={on_one_line(v)}" for name, v in fields_of(record).items())
        event = on_one_line(record.getMessage())
        line = f"{clock} {record.levelname.lower():<7} {event}  {fields}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def on_one_line(value: object) -> str:
    """The text of a value; quoted where it would begin a new line or steer a terminal."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


@contextmanager
def logging_to(settings: LogSettings) -> Iterator[None]:
    """Logs to standard error; as JSON, whatever else prints a line is an event too."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with lines_logged(settings.format == "json") as stream:
        handler = logging.StreamHandler(stream)
        handler.addFilter(RequestIds())
        handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
        configure(handler, settings.level.upper())
        try:
            yield
        except Exception as error:
            logger.critical("ended by a fault", exc_info=error)
            raise SystemExit(1) from error


def configure(handler: logging.Handler, level: str) -> None:
    """One handler for all; libraries only from warnings on, Python's own warnings to debug."""
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    if level != "DEBUG":
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    threading.excepthook = lambda args: logger.error(
        "a thread ended by a fault", exc_info=args.exc_value
    )
    sys.unraisablehook = lambda fault: logger.error(
        "a fault nobody could hear of", exc_info=fault.exc_value
    )
