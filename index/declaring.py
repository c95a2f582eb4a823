"""Changing what a collection declares while it is in use."""

from collections.abc import Mapping
from dataclasses import replace

from index.columns.table import Columns, check_fields
from index.core import CollectionCore
from index.errors import SpecError
from index.segments.part import Part
from index.store.operations import Housekeeping
from index.store.spec_json import dump_spec
from index.types import CollectionSpec, FieldType


def store_spec(core: CollectionCore, spec: CollectionSpec) -> None:
    """Puts a spec in force, durably."""
    core.run_in_store(Housekeeping(lambda store: store.put_meta("spec", dump_spec(spec))))
    core.spec = spec


def declare_fields(core: CollectionCore, add_fields: Mapping[str, FieldType]) -> None:
    """Declares fields and reads them from the payloads of existing points, of which values of
    another type count as absent.

    Raises:
        SpecError: a name that cannot be, or that is declared with another type.
    """
    check_fields(add_fields)
    with core.structure:
        fresh = {name: kind for name, kind in add_fields.items() if name not in core.spec.fields}
        for name, kind in add_fields.items():
            if name not in fresh and core.spec.fields[name] is not kind:
                raise SpecError(
                    f"fields.{name}", f"field {name!r} is declared as {core.spec.fields[name]}"
                )
        if not fresh:
            return
        spec = replace(core.spec, fields={**core.spec.fields, **fresh})
        core.live.keep_patches()
        try:
            core.live.declare(lambda: Columns(spec.fields))
            for part in core.view.parts:
                if part.id != core.live.growing_id:
                    _add_fields(core, part, fresh)
            # payloads that changed after they were read above
            core.live.patch_again()
        finally:
            core.live.drop_patches()
        store_spec(core, spec)
        core.save_columns()
    core.wake()


def _add_fields(core: CollectionCore, part: Part, fields: Mapping[str, FieldType]) -> None:
    payloads = core.files.read_objects(part.slots)
    for name, kind in fields.items():
        part.columns.add_field(name, kind, payloads)
