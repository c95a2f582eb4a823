"""Collections of other vector databases as sources: which URL is which, and what they share."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from latentspace.indexing.export_format import About, ExportSource
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.fields import id_of
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.values import plain
from latentspace.inputs import VectorInput

# a server that does not answer a first request in this time is not there
HELLO_TIMEOUT_S = 5.0
# a page may be long in coming from a busy server, but not for ever
PAGE_TIMEOUT_S = 60

_URL = re.compile(r"(qdrant|chroma)(\+[a-z0-9]+)?:", re.IGNORECASE)
_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Database:
    """What is known of a database before its package is imported.

    Args:
        source: "module:class" of its source.
        key: environment variable of the API key.
        options: what may stand behind the question mark.
        ports: where servers listen, by scheme.
    """

    source: str
    key: str
    options: tuple[str, ...]
    ports: dict[str, int]


DATABASES = {
    "qdrant": Database(
        "latentspace.indexing.foreign.qdrant:QdrantSource",
        key="QDRANT_API_KEY",
        options=("vector",),
        ports={"http": 6333, "https": 6333},
    ),
    "chroma": Database(
        "latentspace.indexing.foreign.chroma:ChromaSource",
        key="CHROMA_API_KEY",
        options=("tenant", "database"),
        ports={"http": 8000, "https": 443},
    ),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a collection is.

    Args:
        source: the URL as it was given; without secrets.
        folder: of a database in files; None for a server.
        scheme, host, port: of a server.
        options: what stands behind the question mark.
        key: environment variable of the API key.
    """

    source: str
    collection: str
    key: str
    options: dict[str, str]
    folder: Path | None = None
    scheme: str = ""
    host: str = ""
    port: int = 0

    @property
    def url(self) -> str:
        """Of the server, without a path."""
        return f"{self.scheme}://{self.host}:{self.port}"


class ForeignSource(ExportSource):
    """The points of a collection elsewhere; `about` is known once it is open."""

    about: About

    def __init__(self, address: Address) -> None:
        self.name = address.source
        self._address = address

    def __reduce__(self) -> tuple[Callable[[str], ExportSource], tuple[str]]:
        # an open connection stays in its process; others open it anew
        return open_foreign, (self.name,)

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        return self.about.dim


def is_foreign(source: str) -> bool:
    """Whether a source is the URL of a collection elsewhere, also of a malformed one."""
    return _URL.match(source) is not None


def open_foreign(source: str) -> ExportSource:
    """The collection that a URL names: qdrant+http://HOST/COLLECTION and its like.

    Raises:
        SourceError: malformed, its client is not installed, not there, or nothing that we hold.
    """
    address = parsed(source)
    module, _, name = DATABASES[_database(source)].source.partition(":")
    opened: ExportSource = getattr(import_module(module), name)(address)
    return opened


def parsed(source: str) -> Address:
    """The parts of a URL; names may be percent-encoded.

    Raises:
        SourceError: malformed (shows a right one), or with a user's name or an unknown option.
    """
    kind = _database(source)
    database = DATABASES[kind]
    scheme, _, rest = source.partition(":")
    way = scheme.lower().partition("+")[2]
    # first of all: what is shown below has no password in it
    if way != "file" and "@" in rest:
        raise SourceError(
            f"{kind}: a URL with user information is refused: pass the key in the environment as "
            f"{database.key} (an @ within a name is written %40)"
        )
    try:
        parts = urlsplit(source)
        host, port = parts.hostname or "", parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    except ValueError as error:
        raise _malformed(kind, source, str(error)) from error
    if unknown := options.keys() - set(database.options):
        known = ", ".join(database.options)
        raise SourceError(f"{kind}: unknown option {', '.join(sorted(unknown))}; one of {known}")
    folder, _, name = parts.path.rstrip("/").rpartition("/")
    common = Address(source, unquote(name), database.key, options)
    if parts.fragment or not name:
        why = "a # within a name is written %23" if parts.fragment else "it names no collection"
        raise _malformed(kind, source, why)
    if way == "file" and not parts.netloc and "/" in parts.path:
        return replace(common, folder=Path(unquote(folder) or "/").expanduser())
    if way not in database.ports or not host or folder:
        raise _malformed(kind, source)
    host = f"[{host}]" if ":" in host else host
    return replace(common, scheme=way, host=host, port=port or database.ports[way])


def _database(source: str) -> str:
    found = _URL.match(source)
    if found is None:
        raise SourceError(f"{source}: not the URL of a collection of {' or '.join(DATABASES)}")
    return found[1].lower()


def _malformed(kind: str, source: str, why: str = "") -> SourceError:
    port = DATABASES[kind].ports["http"]
    return SourceError(
        f"{source}: malformed{f' ({why})' if why else ''}; write "
        f"{kind}+http://HOST:{port}/COLLECTION, {kind}+https://HOST:PORT/COLLECTION "
        f"or {kind}+file:FOLDER/COLLECTION"
    )


def package(module: str, extra: str) -> Any:
    """The client of a database, or a part of it.

    Raises:
        SourceError: it is not installed, or does not work here.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise SourceError(
            f"{name} is not installed ({error}): pip install 'latentspace[{extra}]'"
        ) from error
    except RuntimeError as error:  # chromadb, of a SQLite that is too old
        raise SourceError(f"{module} cannot be used here: {_told(error)}") from error


def check_reachable(address: Address, path: str) -> None:
    """Asks a server for anything at all; the clients themselves would wait for long.

    Raises:
        SourceError: there is no answer.
    """
    try:
        import_module("httpx").get(address.url + path, timeout=HELLO_TIMEOUT_S)
    except Exception as error:
        raise SourceError(
            f"{address.source}: {address.url} cannot be reached ({_told(error)}): is the server "
            "running, and is this its address?"
        ) from error


@contextmanager
def failing_as(address: Address, what: str) -> Iterator[None]:
    """Raises as a `SourceError` whatever a client raises."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        refused = status_of(error) in _REFUSED
        cure = f"; set {address.key} to a key that may read it" if refused else ""
        raise SourceError(f"{address.source}: {what} ({_told(error)}){cure}") from error


def unknown_collection(address: Address, names: list[str], most: int = 20) -> SourceError:
    """What is told of a collection that is not there, and which ones are."""
    shown = ", ".join(sorted(names)[:most]) or "none that can be listed"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return SourceError(
        f"{address.source}: there is no collection {address.collection!r}; there are: {shown}{more}"
    )


def record_of(place: str, id: object, vector: Any, dim: int, payload: Any) -> Record | BadRecord:
    """A point elsewhere as a record.

    Args:
        vector: anything numpy takes, (dim,); None where the point has none.
        payload: a mapping, or None.
    """
    try:
        name = id_of(id)
    except RecordError as error:
        return BadRecord(place, error.reason, str(error))
    if vector is None:
        return BadRecord(place, Reason.NO_INPUT, "the point does not have this vector", name)
    try:
        with np.errstate(over="ignore"):
            row = np.array(vector, np.float32)
    except (TypeError, ValueError) as error:
        return BadRecord(place, Reason.BAD_INPUT, f"the vector cannot be used: {error}", name)
    if row.shape != (dim,):
        message = f"expected a vector of {dim} numbers, got the shape {row.shape}"
        return BadRecord(place, Reason.BAD_INPUT, message, name)
    if not np.isfinite(row).all():
        message = "the vector has numbers that are not finite as float32"
        return BadRecord(place, Reason.BAD_INPUT, message, name)
    try:
        return Record(name, VectorInput(row), plain(payload or {}), place)
    except (ValueError, ArithmeticError, RecursionError) as error:
        return BadRecord(place, Reason.BAD_PAYLOAD, str(error), name)


def status_of(error: BaseException | None) -> int | None:
    """HTTP status of what a client raised, where it was an answer of its server."""
    while error is not None:
        code = getattr(error, "code", None)  # Chroma's; Qdrant's own have `status_code`
        of = getattr(error, "response", error)
        status = code() if callable(code) else getattr(of, "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__context__
    return None


def _told(error: Exception) -> str:
    """On one line, and not without end."""
    text = " ".join(str(error).split())[:300]
    status = status_of(error)
    return text or type(error).__name__ + (f", status {status}" if status else "")
