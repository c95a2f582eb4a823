"""Long work as data; the handles that watch it are in `aio` and `sync`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from latentspace.enums import OperationState, from_wire
from latentspace.errors import LatentspaceError
from latentspace.payloads import load_payload
from latentspace.results.times import time_of
from latentspace.status import error_from_status
from latentspace.v1 import operation_service_pb2

ENDED = frozenset({OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `done` of `total` units; 0 and None where the server does not know."""

    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    eta_ms: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperationData:
    """Long work that was started.

    Args:
        kind: "optimize", "train", "import", "evaluate", "snapshot", "restore".
        target: a collection or a model.
        error: why it failed, else None.
        result: what it made, by keys that the starting call documents.
    """

    id: str
    kind: str
    target: str
    state: OperationState | None
    progress: Progress = Progress()
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    error: LatentspaceError | None = None
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.state in ENDED


def operation_fields(message: operation_service_pb2.Operation) -> dict[str, Any]:
    """The fields of `OperationData` from the wire."""
    progress = message.progress
    return {
        "id": message.id,
        "kind": message.kind,
        "target": message.target,
        "state": from_wire(OperationState, message.state),
        "progress": Progress(
            stage=progress.stage,
            done=progress.done,
            total=progress.total,
            unit=progress.unit,
            eta_ms=progress.eta_ms if progress.HasField("eta_ms") else None,
            metrics=dict(progress.metrics),
        ),
        "create_time": time_of(message.create_time),
        "start_time": time_of(message.start_time),
        "end_time": time_of(message.end_time),
        "error": error_from_status(message.error) if message.HasField("error") else None,
        "result": load_payload(message.result),
    }
