"""Settings: one declaration each, three sources, faults named."""

from pathlib import Path

import pytest
import yaml

from services.app.settings import Settings, SettingsError, load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"


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
