"""The families of encoders: one table, imported lazily.

A third party adds a family with an entry point of the group `latentspace.families`, whose name
is the family and whose value is a class with the classmethod `load` of `Family`:

    [project.entry-points."latentspace.families"]
    fasttext = "my_package.encoder:FastTextEncoder"
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

from embedders.base import Encoder
from embedders.errors import MissingExtraError, ModelError

ENTRY_POINT_GROUP = "latentspace.families"

#: family -> ("module:Class", extra that brings its packages)
FAMILIES: Mapping[str, tuple[str, str]] = {
    "clip": ("embedders.clip.encoder:ClipEncoder", "clip"),
    "averaged": ("embedders.word2vec.averaged:AveragedEncoder", ""),
    "face": ("embedders.face.encoder:FaceEncoder", "faces"),
    "hash": ("embedders.hashing:HashEncoder", ""),
    "node2vec": ("embedders.node2vec.encoder:Node2VecEncoder", ""),
    "sentence": ("embedders.sentence.encoder:SentenceEncoder", "sentences"),
    "word2vec": ("embedders.word2vec.encoder:Word2VecEncoder", ""),
}


class Family(Protocol):
    """What the class of a family offers; beside it, its dataclass of options as `options_type`."""

    def load(self, model_id: str, source: str, options: Mapping[str, Any]) -> Encoder:
        """A loaded model, ready to encode; `source` "" is the family's default."""


def families() -> list[str]:
    """Names of all families, plug-ins too, ascending; imports none of them."""
    return sorted({*FAMILIES, *(point.name for point in _plugins())})


def check_family(family: str) -> None:
    """Refuses a family that nobody offers; imports nothing.

    Raises:
        ModelError: names the known ones.
    """
    if family not in families():
        raise ModelError(f"family {family!r} is unknown; one of: {', '.join(families())}")


def load(
    model_id: str, family: str, source: str = "", options: Mapping[str, Any] | None = None
) -> Encoder:
    """Loads a model.

    Args:
        model_id: its name in calls.
        source: a path, the name of a shipped model, or what else the family knows; "" is the
            family's default.
        options: the family's options; unknown names are refused.

    Raises:
        ModelError: an unknown family; names the known ones.
        MissingExtraError: a package is not installed.
        ModelFormatError: files are missing or damaged.
        OptionError: an option does not fit.
    """
    return find_family(family).load(model_id, source, options or {})


def find_family(family: str) -> Family:
    """The class of a family, imported now.

    Raises:
        ModelError, MissingExtraError
    """
    check_family(family)
    if family in FAMILIES:
        target, extra = FAMILIES[family]
        return cast("Family", import_target(target, family, extra))
    return _load_plugin(next(point for point in _plugins() if point.name == family))


def options_type(family: str) -> type[Any] | None:
    """The dataclass of a family's options; None where a plug-in does not say.

    Raises:
        ModelError, MissingExtraError
    """
    kind: type[Any] | None = getattr(find_family(family), "options_type", None)
    return kind


def import_target(target: str, family: str, extra: str) -> Any:
    """The object of "module:name".

    Raises:
        MissingExtraError: a package that the module imports is not installed.
    """
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        # a fault of our own must not be called a missing package
        if not extra or (error.name or "").partition(".")[0] == "embedders":
            raise
        raise MissingExtraError(f"family {family!r}", error.name or module, extra) from error


def _plugins() -> list[EntryPoint]:
    # not cached: a package may be installed while a notebook runs
    return list(entry_points(group=ENTRY_POINT_GROUP))


def _load_plugin(point: EntryPoint) -> Family:
    try:
        return cast("Family", point.load())
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"family {point.name!r}: the plug-in {point.value} cannot be imported: {error}"
        ) from error
