"""Commands of a distribution that is not installed."""

import pytest
import typer
from typer.testing import CliRunner

from latentspace.cli import plugins


def test_the_server_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    bare = typer.Typer()
    bare.callback()(lambda: None)
    plugins.add_plugins(bare)
    result = CliRunner().invoke(bare, ["serve", "--listen", "x"])
    assert result.exit_code == 2
    assert "pip install ./client '.[all]'" in result.output
    assert "needs the package" in CliRunner().invoke(bare, ["--help"]).output
