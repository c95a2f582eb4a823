"""Where settings come from: layers of nested mappings, the strongest last."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from services.app.settings.errors import SettingsError
from services.app.settings.schema import DELIMITER, PREFIX, Settings

#: where a setting is, such as ("limits", "max_items")
Name = tuple[str, ...]


class Origin(StrEnum):
    """What set a value."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Layer:
    """Values of one origin, nested as in a configuration file."""

    origin: Origin
    values: dict[str, Any]
    path: Path | None = None

    def sets(self, name: Name) -> bool:
        """Whether the setting, or what it is a part of, comes from here."""
        value: Any = self.values
        for part in name:
            if not isinstance(value, dict):
                return True
            if part not in value:
                return False
            value = value[part]
        return True

    def source(self, name: Name) -> str:
        """What a person changes: a file, a variable, an option."""
        if self.origin is Origin.COMMAND_LINE:
            return f"--{name[0].replace('_', '-')}"
        if self.origin is Origin.ENVIRONMENT:
            return variable_of(name)
        return str(self.path or "")


class Variables(EnvSettingsSource):
    """The variables of the environment; what is no JSON is left for the check of its type."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The value of a JSON text, or the text."""
        try:
            return json.loads(value)
        except ValueError:
            return value


def read_layers(config: Path | None, options: Mapping[str, Any] | None) -> list[Layer]:
    """File, environment and options (None: not set), the strongest last.

    Raises:
        SettingsError: the file cannot be read.
    """
    chosen = {name: value for name, value in (options or {}).items() if value is not None}
    return [
        Layer(Origin.FILE, read_yaml(config), config),
        Layer(Origin.ENVIRONMENT, Variables(Settings)()),
        Layer(Origin.COMMAND_LINE, chosen),
    ]


def layer_of(layers: Sequence[Layer], name: Name) -> Layer:
    """The strongest layer that sets a setting; an empty one of defaults where none does."""
    for layer in reversed(layers):
        if layer.sets(name):
            return layer
    return Layer(Origin.DEFAULT, {})


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """One nested mapping of all layers."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer.values)
    return values


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are joined, everything else is replaced."""
    both = dict(below)
    for name, value in above.items():
        old = both.get(name)
        both[name] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return both


class _NamesOnce(yaml.SafeLoader):
    """Refuses a name that stands twice in a mapping, of which YAML keeps the last alone."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for name in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if name.value in names:
                problem = f"{name.value!r} stands twice: leave one of them out"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=name.start_mark)
            names.add(name.value)
        return super().construct_mapping(node, deep)


def read_yaml(config: Path | None) -> dict[str, Any]:
    """The mapping of a YAML file; {} of none.

    Raises:
        SettingsError
    """
    if config is None:
        return {}
    try:
        content = yaml.load(config.read_text(encoding="utf-8-sig"), _NamesOnce) or {}  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read {config}: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{config}: a mapping of settings is needed, such as `listen: ...`")
    # a group whose lines are all commented out
    return {name: value for name, value in content.items() if value is not None}


def variable_of(name: Name) -> str:
    """The variable that sets a setting, or the one of the group that is set by JSON."""
    spelt = {variable.upper(): variable for variable in os.environ}
    for length in range(len(name), 0, -1):
        variable = PREFIX + DELIMITER.join(name[:length]).upper()
        if variable in spelt:
            return spelt[variable]
    return PREFIX + DELIMITER.join(name).upper()
