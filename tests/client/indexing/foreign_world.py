"""Collections of Qdrant and Chroma, made for tests."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from latentspace.indexing.export_format import ExportSource
from latentspace.indexing.foreign.opening import open_foreign
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.inputs import VectorInput

DIM, COUNT = 12, 700
ROWS = np.random.default_rng(7).standard_normal((COUNT, DIM)).astype(np.float32)
QDRANT_IDS = [i if i % 2 else str(UUID(int=i)) for i in range(COUNT)]
CHROMA_IDS = [f"ö {i}/, \"'" for i in range(COUNT)]
METRICS = {
    "qdrant": {"cosine": "Cosine", "dot": "Dot", "l2": "Euclid"},
    "chroma": {"cosine": "cosine", "dot": "ip", "l2": "l2"},
}
PACKAGES = {"qdrant": "qdrant_client", "chroma": "chromadb"}


def qdrant_client() -> Any:
    return pytest.importorskip("qdrant_client", reason="qdrant-client is not installed")


def chromadb() -> Any:
    return pytest.importorskip("chromadb", reason="chromadb is not installed")


def payloads() -> list[dict[str, Any]]:
    more = {"deep": [1, 2.5, None, {"x": [True]}]}
    return [
        {"ä\n": "ö 🙂", "i": i, "tag": "a", "tags": ["a", "b"], "more": more} for i in range(COUNT)
    ]


def put_qdrant(client: Any, name: str, distance: str = "Cosine") -> None:
    """All rows, with their ids and payloads."""
    models = qdrant_client().models
    config = models.VectorParams(size=DIM, distance=models.Distance(distance))
    client.create_collection(name, vectors_config=config)
    points = zip(QDRANT_IDS, ROWS.tolist(), payloads(), strict=True)
    client.upsert(name, [models.PointStruct(id=i, vector=v, payload=p) for i, v, p in points])


@contextmanager
def qdrant_folder(folder: Path) -> Iterator[Any]:
    with closing(qdrant_client().QdrantClient(path=str(folder))) as client:
        yield client


@contextmanager
def chroma_folder(folder: Path) -> Iterator[Any]:
    settings = chromadb().Settings(anonymized_telemetry=False)
    with closing(chromadb().PersistentClient(str(folder), settings)) as client:
        yield client


def put_chroma(client: Any, name: str, space: str = "cosine") -> None:
    """All rows, with their ids, metadata and a document each."""
    made = client.create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": space}}
    )
    metadatas = [{"i": i, "share": i / 8, "ok": i % 2 == 0, "tags": ["a"]} for i in range(COUNT)]
    documents = [f"text é {i}\n" for i in range(COUNT)]
    made.add(CHROMA_IDS, embeddings=ROWS, metadatas=metadatas, documents=documents)


def records(source: ExportSource) -> list[Record]:
    found = list(source)
    assert len(found) == source.count()
    assert [one for one in found if isinstance(one, BadRecord)] == []
    return [one for one in found if isinstance(one, Record)]


def values(found: list[Record]) -> NDArray[np.float32]:
    rows = np.stack([one.input.values for one in found if isinstance(one.input, VectorInput)])
    assert (rows.shape, rows.dtype) == ((len(found), rows.shape[1]), np.dtype(np.float32))
    return rows


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def refused(source: str) -> str:
    with pytest.raises(SourceError) as error:
        open_foreign(source)
    return str(error.value)


def check_about(source: ExportSource, metric: str) -> None:
    about = source.about
    assert about is not None
    assert (about.metric, about.dim, source.dim, source.count()) == (metric, DIM, DIM, COUNT)
    assert (about.model, about.space_id, about.recipe, about.fields) == ("", "", "auto", {})
