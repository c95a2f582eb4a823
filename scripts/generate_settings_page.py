"""Makes docs/settings.md from the settings' declarations, or checks that it is up to date.

python scripts/generate_settings_page.py [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from services.app.settings import ModelSettings, Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
KINDS: dict[object, str] = {
    str: "text",
    SecretStr: "text, never shown",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
HEAD = """# Settings

<!-- Made by scripts/generate_settings_page.py from services/app/settings/schema.py. -->

Every setting has a default. A YAML file (`latentspace serve --config FILE`) changes it, a
variable of the environment changes it again, and an option of `serve` (`--listen`,
`--data-dir`) has the last word.

A variable is the name in capitals behind `LATENTSPACE_`, with two underscores for each dot:

```
LATENTSPACE_LISTEN=127.0.0.1:50052
LATENTSPACE_LIMITS__MAX_ITEMS=1024
LATENTSPACE_ROOTS='["/data", "/more"]'        # a list or a mapping is JSON
LATENTSPACE_MODELS__WORDS__FAMILY=word2vec
```

Names that do not exist, in the file or behind `LATENTSPACE_`, and values that do not fit stop
the start with a sentence for each. The unit of a number stands at the end of its name: `_s` is
seconds, `_mib` is MiB (1 GiB is 1024). A file that names `models` replaces the default ones.
Variables that Kubernetes sets for a service named `latentspace` are passed over.

```yaml
listen: 127.0.0.1:50051
roots: [/data]
models:
  words: {family: word2vec}
  own: {family: sentence, source: /data/my-model, required: true}
limits:
  max_items: 1024
```
"""


def main() -> int:
    """Writes the page, or with --check compares and returns 1 where it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    page = "\n".join([HEAD, *sections()])
    if not parser.parse_args().check:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print("stale: docs/settings.md; run `make docs` and commit the result", file=sys.stderr)
    return 1


def sections() -> Iterator[str]:
    """A table of the single settings, then one for each group."""
    groups = {name: group_of(field) for name, field in Settings.model_fields.items()}
    single = {name: Settings.model_fields[name] for name, group in groups.items() if not group}
    single.pop("models")
    yield from table("Server", "The service as a whole.", "", single)
    yield from table(
        "Models",
        "Each stands under its name, `models.NAME`. Without any, the five shipped ones are served.",
        "",
        dict(ModelSettings.model_fields),
    )
    for name, group in groups.items():
        if group is not None:
            yield from table(name.capitalize(), group.__doc__ or "", f"{name}.", group.model_fields)


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    """The group of settings that a field is; None of a single setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def table(title: str, about: str, prefix: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    """A section with one row a setting."""
    yield from (f"## {title}", "", about, "", "| setting | kind | default | meaning |")
    yield "|---|---|---|---|"
    for name, field in fields.items():
        yield (
            f"| `{prefix}{name}` | {kind_of(field)} | {default_of(field)} | {field.description} |"
        )
    yield ""


def kind_of(field: FieldInfo) -> str:
    """Its type and bounds in words."""
    words = [type_words(field.annotation)]
    for bound in field.metadata:
        words += [
            f"{text} {getattr(bound, key):,}" for key, text in BOUNDS.items() if hasattr(bound, key)
        ]
    return ", ".join(words)


def type_words(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {KINDS[get_args(kind)[0]]}s"
    if get_origin(kind) in (dict, UnionType):
        return "mapping"
    return KINDS[kind]


def default_of(field: FieldInfo) -> str:
    """Its default as YAML; empty where it must be set."""
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", [], {}) else "none"


if __name__ == "__main__":
    sys.exit(main())
