"""Collections of Chroma, on a server or in a folder of its persistent client."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from typing import Any
from weakref import finalize

from latentspace.indexing.export_format import About
from latentspace.indexing.foreign.opening import (
    PAGE_TIMEOUT_S,
    Address,
    ForeignSource,
    check_reachable,
    failing_as,
    package,
    record_of,
    unknown_collection,
)
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record

METRICS = {"cosine": "cosine", "ip": "dot", "l2": "l2"}
# An offset costs Chroma a look at the whole collection, ids do not: so ids are listed in few
# large pages, and points are read by them.
PAGE_IDS, PAGE_POINTS = 50_000, 256
# what Chroma Cloud gives at a time
QUOTA_IDS = 300


class ChromaSource(ForeignSource):
    """The points of a collection: its metadata is the payload, with the document as `document`.

    Where the metadata has that key itself, it keeps it, and the document comes as
    `chroma:document`, a key that Chroma's metadata cannot have; likewise `uri`.

    Raises:
        SourceError: not there, or it never had a point, so that nothing says of what dimension.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._chroma = package("chromadb", "chroma")
        with ExitStack() as opened:
            client = _client(self._chroma, address)
            opened.callback(client.close)
            self._collection = self._found(client)
            with failing_as(address, "cannot be opened"):
                self.about = About(
                    address.collection,
                    dim=self._known_dim(),
                    metric=_metric(self._collection, address),
                )
            finalize(self, opened.pop_all().close)

    def count(self) -> int:
        """Points now.

        Raises:
            SourceError: the server is not there any more.
        """
        with failing_as(self._address, "its points cannot be counted"):
            points: int = self._collection.count()
        return points

    def __iter__(self) -> Iterator[Record | BadRecord]:
        read = 0
        for ids in self._ids():
            for start in range(0, len(ids), PAGE_POINTS):
                with failing_as(self._address, f"broke off after {read} points"):
                    page = self._collection.get(
                        ids=ids[start : start + PAGE_POINTS],
                        include=["embeddings", "metadatas", "documents", "uris"],
                    )
                read += len(page["ids"])
                yield from self._records(page)

    def _ids(self) -> Iterator[list[str]]:
        """Ids of all points, page by page."""
        offset, limit = 0, PAGE_IDS
        while True:
            with failing_as(self._address, f"broke off after {offset} points"):
                try:
                    ids = self._collection.get(limit=limit, offset=offset, include=[])["ids"]
                except self._chroma.errors.QuotaError:
                    if limit <= QUOTA_IDS:
                        raise
                    limit = QUOTA_IDS
                    continue
            if not ids:
                return
            offset += len(ids)
            yield ids

    def _records(self, page: Mapping[str, Any]) -> Iterator[Record | BadRecord]:
        names = ("ids", "embeddings", "metadatas", "documents", "uris")
        for id, vector, metadata, document, uri in zip(*(page[n] for n in names), strict=True):
            place = f"chroma {self._address.collection}/{id:.80}"
            payload = _payload(metadata or {}, document, uri)
            yield record_of(place, id, vector, self.dim, payload)

    def _found(self, client: Any) -> Any:
        with failing_as(self._address, "cannot be opened"):
            try:
                # without its embedding function: that may fetch a model, or want a key
                return client.get_collection(self._address.collection, embedding_function=None)
            except self._chroma.errors.NotFoundError:
                names = [one.name for one in client.list_collections()]
                raise unknown_collection(self._address, names) from None

    def _known_dim(self) -> int:
        dim: int | None = self._collection.get_model().dimension
        if dim is None:  # as older servers say it
            rows = self._collection.get(limit=1, include=["embeddings"])["embeddings"]
            dim = len(rows[0]) if len(rows) else None
        if dim is None:
            raise SourceError(
                f"{self.name}: the collection has never had a point, and only the first one tells "
                "Chroma of what dimension it is: there is nothing to index yet"
            )
        return dim


def _client(chroma: Any, address: Address) -> Any:
    options = {name: value for name, value in address.options.items() if value}
    if address.folder is None:
        check_reachable(address, "/api/v2/heartbeat")
        with failing_as(address, "cannot be opened"):
            return _http_client(chroma, address, options)
    if not (address.folder / "chroma.sqlite3").is_file():
        raise SourceError(f"{address.source}: {address.folder} is not a folder of Chroma's client")
    # what is only read is not brought to the format of a newer Chroma
    settings = chroma.Settings(anonymized_telemetry=False, migrations="validate")
    with failing_as(address, "cannot be opened"):
        try:
            return chroma.PersistentClient(str(address.folder), settings, **options)
        except Exception as error:
            if "migrations" not in str(error):
                raise
            raise SourceError(
                f"{address.source}: the folder is of another version of Chroma ({error}): open it "
                "once with chromadb itself, which changes it, or read it through its own server"
            ) from error


def _http_client(chroma: Any, address: Address, options: dict[str, str]) -> Any:
    key = os.environ.get(address.key)
    client = chroma.HttpClient(
        host=address.host,
        port=address.port,
        ssl=address.scheme == "https",
        headers={"x-chroma-token": key} if key else None,
        settings=chroma.Settings(
            anonymized_telemetry=False,
            # said here too: the environment of a server on this machine may say other ones
            chroma_server_host=address.host,
            chroma_server_http_port=address.port,
        ),
        **options,
    )
    # it waits for ever, and has no setting for that
    session = getattr(getattr(client, "_server", None), "_session", None)
    if session is not None:
        session.timeout = PAGE_TIMEOUT_S
    return client


def _metric(collection: Any, address: Address) -> str:
    said = collection.configuration_json or {}
    index = said.get("hnsw") or said.get("spann") or {}
    space = index.get("space") or (collection.metadata or {}).get("hnsw:space") or "l2"
    if space not in METRICS:
        known = ", ".join(METRICS)
        raise SourceError(f"{address.source}: vectors are compared by {space!r}, not by {known}")
    return METRICS[space]


def _payload(metadata: Mapping[str, Any], document: str | None, uri: str | None) -> dict[str, Any]:
    payload = {
        # sparse vectors may stand in metadata
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        # in an order, since Chroma gives another one each time and digests would differ
        for name, value in sorted(metadata.items())
    }
    for name, value in (("document", document), ("uri", uri)):
        if value is not None:
            payload[f"chroma:{name}" if name in payload else name] = value
    return payload
