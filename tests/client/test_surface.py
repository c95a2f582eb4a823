import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import latentspace
from latentspace import AsyncClient, AsyncOperation, Client, Operation, enums

ROOT = Path(__file__).resolve().parents[2]

DESIGNED = """models model load_model unload_model embed analogy analogy_batch create_collection
    upsert search search_batch classify create_label_set compare get update_payload delete count
    scroll optimize measure_recall snapshot restore set_alias train operations evaluate
    most_similar doesnt_match rank similarity collections collection delete_collection
    search_pages identify"""


def public(kind: type) -> dict[str, object]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def normal(signature: inspect.Signature) -> str:
    """A signature without what tells the two clients apart."""
    text = re.sub(r"\bAsync([A-Z])", r"\1", str(signature))
    return text.replace("latentspace.aio", "latentspace.sync")


def test_all_is_what_is_exposed_and_sorted() -> None:
    names = latentspace.__all__
    assert len(names) == len(set(names))
    exposed = {
        name
        for name, value in vars(latentspace).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(names) == exposed
    assert all(getattr(latentspace, name) is not None for name in names)


@pytest.mark.parametrize(
    ("sync", "asynchronous"), [(Client, AsyncClient), (Operation, AsyncOperation)]
)
def test_both_clients_have_the_same_calls(sync: type, asynchronous: type) -> None:
    assert public(sync).keys() == public(asynchronous).keys()
    for name, method in public(sync).items():
        twin = public(asynchronous)[name]
        if not inspect.isfunction(method):
            continue
        assert normal(inspect.signature(method)) == normal(inspect.signature(twin)), name  # type: ignore[arg-type]
        awaited = inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)
        assert awaited or name in ("watch", "with_patience"), f"{name} is not awaited"
        assert not inspect.iscoroutinefunction(method)


def test_the_designed_calls_are_there() -> None:
    assert set(DESIGNED.split()) <= public(Client).keys()


@pytest.mark.parametrize("kind", [Client, AsyncClient, Operation, AsyncOperation])
def test_every_call_is_documented_and_typed(kind: type) -> None:
    for name, method in public(kind).items():
        if inspect.isfunction(method):
            assert inspect.getdoc(method), name
            hints = typing.get_type_hints(method)
            assert "return" in hints, name
            assert set(inspect.signature(method).parameters) - {"self"} <= set(hints), name


def test_the_synchronous_client_is_generated_from_the_other() -> None:
    script = ROOT / "scripts" / "generate_sync_client.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_light() -> None:
    code = "import sys, latentspace; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "typer",
        "rich",
        "torch",
        "faiss",
        "pandas",
        "pyarrow",
        "PIL",
        "gensim",
        "services",
        "embedders",
    }
    assert not heavy & set(done.stdout.split())


def test_the_command_line_names_its_extra() -> None:
    code = "import sys; sys.modules['typer'] = None; from latentspace.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'latentspace[cli]'")


def test_members_of_enums_are_those_of_the_wire() -> None:
    for kind, wire in enums.WIRE_ENUMS.items():
        numbers = {enums.to_wire(kind, member, "x") for member in kind}
        assert numbers == set(wire.values()) - {0}
        assert {enums.from_wire(kind, number) for number in numbers} == set(kind)
        assert enums.from_wire(kind, 0) is None
        assert enums.from_wire(kind, 999) is None
        with pytest.raises(latentspace.InvalidArgumentError, match="one of"):
            enums.to_wire(kind, "no such", "x")
