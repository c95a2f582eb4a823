"""Settings: one declaration each, three sources, faults named."""

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.app.settings import (
    Origin,
    Settings,
    SettingsError,
    effective_settings,
    load_settings,
)

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LONG = bool(os.environ.get("LATENTSPACE_LONG"))


def test_the_embedded_default_is_the_demo_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = load_settings(DEPLOY / "demo.yaml")
    assert demo.model_dump() == load_settings().model_dump()
    assert list(demo.models) == ["words", "sentences", "nodes", "clip", "faces"]


def test_the_production_configuration_can_be_read() -> None:
    settings = load_settings(DEPLOY / "production.yaml")
    assert settings.log.format == "json"
    assert settings.models["sentences"].options["dtype"] == "bfloat16"
    assert not settings.models["german"].preload


def test_options_beat_variables_beat_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"listen": "a:1", "cores": 1, "limits": {"max_items": 5}}))
    assert load_settings(path).listen == "a:1"
    monkeypatch.setenv("LATENTSPACE_LISTEN", "b:2")
    monkeypatch.setenv("LATENTSPACE_LIMITS__MAX_QUERIES", "7")
    found = load_settings(path)
    assert (found.listen, found.cores) == ("b:2", 1)
    assert (found.limits.max_items, found.limits.max_queries) == (5, 7)
    assert load_settings(path, {"listen": "c:3", "data_dir": None}).listen == "c:3"


def test_the_data_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings().data_dir == tmp_path / ".local/share/latentspace"
    assert load_settings(None, {"data_dir": "here"}).data_dir == Path.cwd() / "here"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"listen": "host"}, "listen"),
        ({"listen": "host:99999"}, "listen"),
        ({"colour": 1}, "colour"),
        ({"models": {"a": {"family": "hash", "kind": 1}}}, "models.a.kind"),
        ({"cores": -1}, "cores"),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"index": {"seal_rows": 0}}, "index.seal_rows"),
        ({"index": {"device": "gpu"}}, "index.device"),
    ],
)
def test_faults_are_named(tmp_path: Path, given: dict[str, object], said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(given))
    with pytest.raises(SettingsError, match=said):
        load_settings(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        load_settings(bad)


def test_every_setting_says_what_it_means() -> None:
    silent = [n for n, f in Settings.model_fields.items() if not f.description]
    groups = {"models", "limits", "index", "log", "cache", "health", "tracing"}
    assert set(silent) <= groups


def faults_of(config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: {}", "model: there is no such setting; did you mean models?"),
        ("max_items: 3", "did you mean limits.max_items?"),
        ("limits: {max_item: 3}", "limits.max_item: there is no such setting; did you mean limits"),
        ("port: 5", "the settings are cache, cores, data_dir"),
        ("index: {memory_mib: 1GB}", "MiB (1 GiB is 1024), without a unit, such as 1024"),
        ("index: {memory_mib: 512 MiB}", "without a unit, such as 512"),
        ("health: {interval_s: 5s}", "seconds, without a unit"),
        ("listen: 50051", "50051 is not HOST:PORT, such as 127.0.0.1:50051"),
        ("roots: /data", "roots: [/data]"),
        ("models: {a: {}}", "models.a.family: is missing"),
        ("models: {a: hash}", "models.a: 'hash' is not a mapping of settings"),
        ("models: {a: {famly: hash}}", "did you mean models.a.family?"),
        ("limits: 5", "limits: 5 is not a mapping of settings"),
        ("log: {level: loud}", "'loud' is not one of 'debug', 'info'"),
        ("cores: 1.5", "1.5 is not a whole number"),
        ("reflection: maybe", "'maybe' is not true or false"),
        ("index: {device: gpu}", "'gpu' is not cpu, nor a GPU by its number, such as cuda:0"),
        ("log: {level: debug, level: info}", "'level' stands twice"),
        ("models:\n  a: {family: hash}\n  a: {family: clip}", "'a' stands twice"),
    ],
)
def test_a_fault_in_the_file_names_file_setting_and_cure(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    message = faults_of(path)
    assert sentence in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("LIMIT__MAX_ITEMS", "4", "did you mean LATENTSPACE_LIMITS__MAX_ITEMS?"),
        ("LIMITS_MAX_ITEMS", "4", "did you mean LATENTSPACE_LIMITS__MAX_ITEMS?"),
        ("LIMITS__MAX_ITEM", "4", "did you mean limits.max_items?"),
        ("LISTEN__PORT", "4", "there is no such setting"),
        ("COLOUR", "red", "docs/settings.md"),
        ("ROOTS", "/data", """write LATENTSPACE_ROOTS='["/data"]'"""),
        ("LIMITS", "many", "is not a mapping of settings in JSON"),
        ("CORES", "two", "LATENTSPACE_CORES: cores: 'two' is not a whole number"),
    ],
)
def test_a_fault_in_a_variable_names_variable_and_cure(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"LATENTSPACE_{variable}", value)
    message = faults_of()
    assert f"LATENTSPACE_{variable}: " in message
    assert sentence in message


def test_all_faults_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("colour: red\ncores: -1\n")
    monkeypatch.setenv("LATENTSPACE_SHAPE", "round")
    message = faults_of(path)
    assert all(name in message for name in ("colour", "cores", "LATENTSPACE_SHAPE"))


def test_variables_that_an_orchestrator_sets_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "PORT": "tcp://10.0.0.1:50051",
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT_GRPC": "50051",
        "PORT_50051_TCP_ADDR": "10.0.0.1",
        "METRICS_SERVICE_HOST": "10.0.0.2",
        "METRICS_PORT": "tcp://10.0.0.2:9090",
    }.items():
        monkeypatch.setenv(f"LATENTSPACE_{name}", value)
    assert load_settings().listen == "127.0.0.1:50051"


def test_every_variable_that_the_tree_reads_is_known() -> None:
    names = {"LATENTSPACE_SERVER", "LATENTSPACE_DEBUG"}
    for folder in ("tests", "benchmarks", "client", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            names |= set(re.findall(r"""environ\S*["'](LATENTSPACE_\w+)["']""", path.read_text()))
    assert len(names) > 4
    with mock.patch.dict(os.environ, dict.fromkeys(names, "1")):
        load_settings()


def test_a_group_without_lines_is_its_default(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("limits:\n  # max_items: 5\nmodels:\nroots:\n")
    assert load_settings(path).model_dump() == load_settings().model_dump()


def test_effective_settings_say_where_each_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("cores: 1\nlimits: {max_items: 5, max_queries: 6}\n")
    monkeypatch.setenv("LATENTSPACE_LIMITS__MAX_QUERIES", "7")
    monkeypatch.setenv("LATENTSPACE_LOG", '{"level": "debug"}')
    monkeypatch.setenv("LATENTSPACE_CACHE__REDIS_URL", "redis://:secret@localhost:6379/0")
    by_name = {s.name: s for s in effective_settings(path, {"listen": "a:1", "data_dir": None})}
    told = {name: (s.value, s.origin, s.source) for name, s in by_name.items()}
    assert told["listen"] == ("a:1", Origin.COMMAND_LINE, "--listen")
    assert told["cores"] == (1, Origin.FILE, str(path))
    assert told["limits.max_items"] == (5, Origin.FILE, str(path))
    variable = "LATENTSPACE_LIMITS__MAX_QUERIES"
    assert told["limits.max_queries"] == (7, Origin.ENVIRONMENT, variable)
    assert told["log.level"] == ("debug", Origin.ENVIRONMENT, "LATENTSPACE_LOG")
    assert told["log.format"] == ("text", Origin.DEFAULT, "")
    assert told["models.words.family"] == ("word2vec", Origin.DEFAULT, "")
    assert told["cache.redis_url"][1] is Origin.ENVIRONMENT
    assert "secret" not in str(by_name)


def test_a_password_is_in_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSPACE_CACHE", "redis://:secret@localhost:6379/0")
    assert "secret" not in faults_of()


NAMES = sorted(
    f"{group}.{name}" if group else name
    for group, values in [("", Settings().model_dump()), *Settings().model_dump().items()]
    if isinstance(values, dict) and group != "models"
    for name in values
)


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, str]:
    """A setting, and its last part with one letter lost, doubled or exchanged."""
    name = draw(st.sampled_from([name for name in NAMES if len(name.rpartition(".")[2]) >= 5]))
    group, dot, word = name.rpartition(".")
    place = draw(st.integers(0, len(word) - 2))
    letters = draw(st.sampled_from(["", word[place] * 2, word[place + 1] + word[place]]))
    kept = (
        word[place + 2 :] if len(letters) == 2 and letters[0] != word[place] else word[place + 1 :]
    )
    return name, f"{group}{dot}{word[:place]}{letters}{kept}"


@given(misspelt())
@settings(max_examples=10_000 if LONG else 100, deadline=None)
def test_a_misspelt_setting_is_refused_with_the_right_name(names: tuple[str, str]) -> None:
    name, wrong = names
    if wrong in NAMES or "__" in wrong:  # two underscores lead into a group
        return
    variable = f"LATENTSPACE_{wrong.replace('.', '__').upper()}"
    with mock.patch.dict(os.environ, {variable: "1"}):
        message = faults_of()
    right = f"LATENTSPACE_{name.replace('.', '__').upper()}"
    assert f"did you mean {name}?" in message or f"did you mean {right}?" in message


def test_the_page_of_settings_is_up_to_date() -> None:
    script = ROOT / "scripts/generate_settings_page.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0
