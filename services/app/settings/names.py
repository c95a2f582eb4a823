"""Names of settings: all that there are, and those near to one that is not."""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args, get_origin

from pydantic import BaseModel

from services.app.settings.layers import Name
from services.app.settings.schema import DELIMITER, PREFIX, Settings

#: stands for the name of a model in the names of its settings
ANY = "NAME"
#: read by the command line, the examples, the benchmarks and the tests
NOT_SETTINGS = {"SERVER", "DEBUG", "DATA", "LONG", "SEED", "MUTATIONS", "CRASH_ROUNDS"}
# Kubernetes sets them in every container for a service whose name begins with "latentspace"
OF_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
PORT_URL = re.compile(r"(tcp|udp|sctp)://")
CUTOFF = 0.7


def known_names() -> list[Name]:
    """Every setting, in the order of their declaration; `models.NAME.family` for any model."""
    return list(names_of(Settings, ()))


def names_of(model: type[BaseModel], group: Name) -> Iterator[Name]:
    """Settings of a group and of the groups in it."""
    for name, field in model.model_fields.items():
        inner, here = group_of(field.annotation), (*group, name)
        if get_origin(field.annotation) is dict:
            inner, here = group_of(get_args(field.annotation)[1]), (*here, ANY)
        if inner is None:
            yield (*group, name)
        else:
            yield from names_of(inner, here)


def group_of(annotation: object) -> type[BaseModel] | None:
    """The group of settings that a type is; None of a single setting."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def siblings(group: Name) -> list[str]:
    """Names of the settings and groups that may stand in a group, ascending."""
    size = len(group)
    return sorted(
        {name[size] for name in known_names() if len(name) > size and same(name[:size], group)}
    )


def same(known: Name, name: Name) -> bool:
    """Whether a name is the known one, any model for any model."""
    return len(known) == len(name) and all(a in (b, ANY) for a, b in zip(known, name, strict=True))


def hint(name: Name) -> str:
    """What somebody who wrote an unknown name may have meant; else what there is beside it."""
    if alike := get_close_matches(name[-1], siblings(name[:-1]), 1, CUTOFF):
        return f"did you mean {'.'.join((*name[:-1], alike[0]))}?"
    if alike := near_names("_".join(name)):
        return f"did you mean {alike[0]}?"
    elsewhere = [".".join(known) for known in known_names() if known[-1] == name[-1]]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    group = ".".join(name[:-1])
    inside = f"the settings of {group}" if group else "the settings"
    return f"{inside} are {', '.join(siblings(name[:-1]))}"


def near_names(joined: str) -> list[str]:
    """Settings whose names, joined by single underscores, are like this; dotted, nearest first."""
    dotted = {"_".join(name): ".".join(name) for name in known_names()}
    return [dotted[key] for key in get_close_matches(joined, dotted, 1, CUTOFF)]


def unknown_variables() -> Iterator[str]:
    """A sentence for each variable of ours in the environment that sets nothing."""
    for variable, value in sorted(os.environ.items()):
        name = variable.upper().removeprefix(PREFIX)
        if name == variable.upper() or name in NOT_SETTINGS or of_kubernetes(name, value):
            continue
        path = tuple(name.lower().split(DELIMITER))
        if not leads_somewhere(path):
            yield f"{variable}: there is no such setting; {variable_hint(path)}"


def of_kubernetes(name: str, value: str) -> bool:
    """Whether an orchestrator set it to tell of a service, not somebody to set something."""
    is_url = name.rpartition("_")[2] == "PORT" and PORT_URL.match(value) is not None
    return is_url or OF_KUBERNETES.fullmatch(name) is not None


def leads_somewhere(path: Name) -> bool:
    """Whether the first parts are a setting or a group; faults inside are found by their type."""
    if path[0] not in Settings.model_fields:
        return False
    return len(path) == 1 or len(siblings(path[:1])) > 0


def variable_hint(path: Name) -> str:
    """The variable that somebody may have meant."""
    if alike := near_names("_".join(path).replace("__", "_")):
        name = alike[0].replace(".", DELIMITER).upper()
        return f"did you mean {PREFIX}{name}?"
    groups = get_close_matches(path[0], siblings(()), 1, CUTOFF)
    if groups:
        return f"did you mean {PREFIX}{DELIMITER.join((groups[0], *path[1:])).upper()}?"
    return "docs/settings.md lists them, `latentspace config show` prints them"
