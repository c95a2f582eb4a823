"""Decoders that say nothing on standard error: what is wrong is in the error of the image."""

import ctypes
import logging
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

MAPS = Path("/proc/self/maps")
HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")


@cache
def silence_decoders() -> None:
    """Once in a process: no warnings of Pillow, and no lines that libtiff writes by itself.

    libtiff prints each fault of a file in C, past Python's logging. Its handlers are global, and
    are set in the very library that Pillow has loaded; where that is not seen (no /proc, or
    linked into Pillow), its lines stay.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    for path in _loaded("libtiff"):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(path)
            for name in HANDLERS:
                setter = getattr(library, name)
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setter(None)


def _loaded(name: str) -> list[str]:
    """Paths of the shared libraries in this process whose file name begins with `name`."""
    try:
        lines = MAPS.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count("/")}
    return sorted(path for path in paths if Path(path).name.startswith(name))
