"""Everything that the runtime raises beside the errors of embedders and index.

ServiceError
├── RequestError             part of a request does not fit; `field` names it
│   └── SpaceMismatchError   vectors of two spaces cannot be compared
├── ModelNotFoundError       no model of this name is configured
├── ModelNotReadyError       configured, not answering now; says where it stands
├── ModelExistsError         the id of a new model is taken
├── ModelInUseError          collections or label sets are of this model
├── ModelConfiguredError     the model is of the settings, and no call deletes it
├── SourceDeniedError        a file that the server may not read for its callers
├── JobError                 work in a child process failed, or the process died
├── OperationNotFoundError   no operation has this id
├── LabelSetNotFoundError    no label set has this name
├── LabelSetExistsError      the name of a new label set is taken
├── SnapshotNotFoundError    no snapshot has this name
├── AliasError               the name is a collection's, or stands for one already
├── AliasNotFoundError       no alias has this name
├── OverloadedError          the queue is full; `retry_after_s` is when to try again
│   └── NoMemoryError        not even this item alone found room
├── NotServedError           a part of the contract that this version does not serve yet
├── DeadlineError            the caller's time ran out before the work was done
└── WorkError                an encoder broke its contract or failed on an item
"""

from collections.abc import Iterable

from index.spelling import near_names


class ServiceError(Exception):
    """Base of all errors of this package."""


class RequestError(ServiceError):
    """Part of a request does not fit; `field` is its name on the wire."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SpaceMismatchError(RequestError):
    """Vectors of two spaces cannot be compared."""

    def __init__(
        self,
        field: str,
        space: str,
        expected: str,
        cure: str = "embed them with the model of the collection, as it was when this was created",
    ) -> None:
        super().__init__(
            field,
            f"vectors of space {space!r} cannot be compared with those of"
            f" {f'space {expected!r}' if expected else 'a collection without a space'}; {cure}",
        )


class ModelNotFoundError(ServiceError):
    """No model of this name is configured."""

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no model {model[:128]!r}{near_names(model, known)}")


class ModelNotReadyError(ServiceError):
    """The model is configured and does not answer now."""

    def __init__(self, model: str, state: str, reason: str = "") -> None:
        cure = reason or "load it with LoadModel (latentspace models load)"
        super().__init__(f"model {model!r} is {state}: {cure}")


class ModelExistsError(ServiceError):
    """The id of a new model is taken."""

    def __init__(self, model: str) -> None:
        super().__init__(f"there is a model {model!r} already, or it is in training; name another")


class ModelInUseError(ServiceError):
    """Collections or label sets are of this model."""

    def __init__(self, model: str, users: list[str]) -> None:
        more = f" and {len(users) - 20} more" if len(users) > 20 else ""
        super().__init__(
            f"model {model!r} is in use by {', '.join(users[:20])}{more}: delete these first, or"
            " force it (--force): they then stay and take vectors only"
        )


class ModelConfiguredError(ServiceError):
    """The model is of the settings, and no call deletes it."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} stands in the server's settings: take it out there and restart the"
            " server; models unload gives its memory back now"
        )


class SourceDeniedError(ServiceError):
    """A file that the server may not read for its callers."""

    def __init__(self, source: str, roots: list[str], field: str = "source") -> None:
        allowed = f"only of {', '.join(roots)}" if roots else "of no folder"
        super().__init__(
            f"the server reads files {allowed}, and {source[:200]!r} is outside:"
            " the setting `roots` (LATENTSPACE_ROOTS='[\"/data\"]') names the folders that"
            " imports, training, evaluation and added models may read"
        )
        self.field = field


class JobError(ServiceError):
    """Work in a child process failed, or the process died; says how."""


class OperationNotFoundError(ServiceError):
    """No operation has this id."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"there is no operation {operation_id!r}")


class LabelSetNotFoundError(ServiceError):
    """No label set has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no label set {name[:128]!r}{near_names(name, known)}")


class LabelSetExistsError(ServiceError):
    """The name of a new label set is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a label set {name!r} already; delete it, or name another")


class SnapshotNotFoundError(ServiceError):
    """No snapshot has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no snapshot {name[:128]!r}{near_names(name, known)}")


class AliasError(ServiceError):
    """The name is a collection's, or stands for one already."""


class AliasNotFoundError(ServiceError):
    """No alias has this name."""

    def __init__(self, alias: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no alias {alias[:128]!r}{near_names(alias, known)}")


class OverloadedError(ServiceError):
    """Too much waits already, or the deadline cannot be met; `why` names the queue."""

    def __init__(self, why: str, retry_after_s: float) -> None:
        super().__init__(f"{why}; try again in {retry_after_s:.2f} s")
        self.retry_after_s = retry_after_s


class NoMemoryError(OverloadedError):
    """The machine or its device had no room for one item alone."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has no memory for this item: send a smaller one, or later", 1.0)


class NotServedError(ServiceError):
    """A part of the contract that this version does not serve yet."""


class DeadlineError(ServiceError):
    """The caller's time ran out before the work was done."""


class WorkError(ServiceError):
    """An encoder broke its contract or failed on an item."""
