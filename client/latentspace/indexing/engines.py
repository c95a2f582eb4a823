"""Engines that run a job on other machines; they join by entry points of `latentspace.engines`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from latentspace.indexing.options import JobOptions, OnFailed, OnProgress, Progress
from latentspace.indexing.records import Source

GROUP = "latentspace.engines"


class EngineError(Exception):
    """An engine is not installed, or its machines fail; what was written stays written."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where a job runs.

    Args:
        address: of the cluster, as the engine knows it: "auto", "local", "HOST:PORT".
        readers: processes that read the source, each its share of the records.
        encoders: processes that encode, each with the collection's model; 0: as many as fit.
        gpus: each encoder's share of a GPU, such as 1 or 0.25.
    """

    address: str
    readers: int = 2
    encoders: int = 0
    gpus: float = 0.0


#: (server's HOST:PORT, source, options, cluster, on_progress, on_failed) -> outcome; does what
#: `run_job` does and raises what it raises
Engine = Callable[
    [str, Source, JobOptions, ClusterOptions, OnProgress | None, OnFailed | None], Progress
]


def find_engine(name: str) -> Engine:
    """An engine by its name.

    Raises:
        EngineError: it is not installed; names the cure.
    """
    for point in entry_points(group=GROUP, name=name):
        try:
            engine: Engine = point.load()
        except ImportError as error:
            raise EngineError(
                f"{name} cannot be used ({error}): pip install 'latentspace-server[{name}]'"
            ) from error
        return engine
    raise EngineError(
        f"{name} comes with the server's package; in a checkout of latentspace: "
        f"pip install ./client '.[{name}]'"
    )
