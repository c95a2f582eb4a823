"""Whether files can be fetched from a hub now; its client alone would retry for minutes."""

import time
from threading import Lock, Thread

from huggingface_hub import constants, is_offline_mode
from huggingface_hub.utils._http import get_session

ANSWER_SECONDS = 4.0
#: how long what was seen of the network counts: a model is made of several files
FRESH_SECONDS = 30.0

_seen: dict[str, tuple[float, str]] = {}
_lock = Lock()


def why_cache_only(local_files_only: bool, url: str = "") -> str:
    """Why only the local cache can be read, for a message; "" where the server answers.

    Args:
        local_files_only: the model's option.
        url: of the server; "" is the hub.
    """
    if local_files_only:
        return "local_files_only forbids to download it"
    if is_offline_mode():
        return "HF_HUB_OFFLINE forbids to download it"
    fault = network_fault(url or constants.ENDPOINT)
    return f"there is no network to download it ({fault})" if fault else ""


def network_fault(url: str) -> str:
    """Why a server does not answer, seen within a few seconds; "" where it does."""
    with _lock:
        seen_at, fault = _seen.get(url, (-FRESH_SECONDS, ""))
        if time.monotonic() - seen_at < FRESH_SECONDS:
            return fault
        fault = _ask(url)
        _seen[url] = time.monotonic(), fault
        return fault


def forget_network() -> None:
    """Has the next look-up ask again."""
    with _lock:
        _seen.clear()


def _ask(url: str) -> str:
    faults: list[str] = []

    def ask() -> None:
        try:
            # any answer will do, also an error: the server is there
            get_session().head(url, timeout=ANSWER_SECONDS)
            faults.append("")
        # the client's transport may be replaced, and raises errors of its own
        except Exception as error:  # noqa: BLE001
            faults.append(f"{url}: {_first_line(error)}")

    # in a thread: no timeout ends a slow resolution of a name
    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS + 1)
    return faults[0] if faults else f"{url}: no answer within {ANSWER_SECONDS:g} s"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
