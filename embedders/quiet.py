"""Loading without the reports and progress bars of the libraries that load."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging as transformers_logging

#: tell of weights that are left out on purpose, and of every repeated request
CHATTY = ("transformers", "huggingface_hub", "sentence_transformers")

_lock = Lock()
_depth = 0
_before: dict[str, int] = {}


@contextmanager
def quiet_loading() -> Iterator[None]:
    """While any thread is within: no reports, no bars; errors are logged all the same.

    What a library finds wrong with a model shows as its exception, and what we find wrong is
    logged by this package.
    """
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1:
            _silence()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _restore()


def _silence() -> None:
    # told at each script that is compiled; this package holds torch to a release
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")
    for name in CHATTY:
        logger = logging.getLogger(name)
        _before[name] = logger.level
        logger.setLevel(logging.ERROR)
    _before["bars"] = int(transformers_logging.is_progress_bar_enabled())
    _before["hub bars"] = int(not are_progress_bars_disabled())
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()


def _restore() -> None:
    for name in CHATTY:
        logging.getLogger(name).setLevel(_before[name])
    if _before["bars"]:
        transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    if _before["hub bars"]:
        enable_progress_bars()
