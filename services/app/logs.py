"""Structured logs: one line an event, for people or as JSON."""

import json
import logging
import sys
import time
from typing import Any

from services.app.settings import LogSettings

PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What an event carries beside its message (`extra=`)."""
    return {name: value for name, value in record.__dict__.items() if name not in PLAIN}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (Unix seconds), level, logger, event, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:30:01 info  event  field=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        line = f"{clock} {record.levelname.lower():<7} {record.getMessage()}  {fields}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure_logs(settings: LogSettings) -> None:
    """Logs to standard error; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("services", "index", "embedders", "latentspace"):
        logging.getLogger(name).setLevel(settings.level.upper())
