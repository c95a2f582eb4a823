"""FAISS's threads."""

from collections.abc import Iterator
from contextlib import contextmanager

from index.untyped import faiss


@contextmanager
def faiss_threads(count: int) -> Iterator[None]:
    """Lets FAISS use so many threads for what the calling thread does inside."""
    # this setting is the calling thread's own in OpenMP
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
