"""Settings read, checked, and told with where each value comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.app.settings.errors import SettingsError
from services.app.settings.faults import sentences
from services.app.settings.layers import Layer, Name, Origin, layer_of, merged, read_layers
from services.app.settings.names import unknown_variables
from services.app.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting as a server would take it.

    Args:
        name: dotted, such as `limits.max_items` or `models.words.family`.
        value: as JSON; a secret is asterisks.
        origin: what set it.
        source: the file, variable or option; "" of a default.
    """

    name: str
    value: Any
    origin: Origin
    source: str


def load_settings(config: Path | None = None, options: Mapping[str, Any] | None = None) -> Settings:
    """Settings of a YAML file, then variables, then command-line options (None: not set).

    Raises:
        SettingsError: a file that cannot be read, an unknown setting or variable, or an unfit
            value; with all faults.
    """
    return checked(read_layers(config, options))


def effective_settings(
    config: Path | None = None, options: Mapping[str, Any] | None = None
) -> list[EffectiveSetting]:
    """Every setting with its value and where it comes from, in the order of their declaration.

    Raises:
        SettingsError: as of `load_settings`.
    """
    layers = read_layers(config, options)
    values = checked(layers).model_dump(mode="json")
    return [setting_of(name, value, layers) for name, value in leaves(values, ())]


def checked(layers: list[Layer]) -> Settings:
    """The settings of all layers.

    Raises:
        SettingsError
    """
    faults = list(unknown_variables())
    try:
        settings = Settings(**merged(layers))
    except ValidationError as error:
        faults += sentences(error, layers)
    if faults:
        raise SettingsError("\n  ".join(["settings do not fit:", *faults]), faults)
    return settings


def setting_of(name: Name, value: Any, layers: list[Layer]) -> EffectiveSetting:
    """A value with the layer that set it."""
    layer = layer_of(layers, name)
    source = "" if layer.origin is Origin.DEFAULT else layer.source(name)
    return EffectiveSetting(".".join(name), value, layer.origin, source)


def leaves(value: Any, name: Name) -> Iterator[tuple[Name, Any]]:
    """Settings of nested mappings; an empty mapping is a value."""
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    for key, inner in value.items():
        yield from leaves(inner, (*name, str(key)))
