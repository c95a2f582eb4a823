"""The two wheels: everything that a server needs is in them, and their metadata fit together."""

import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message

import pytest

from tests.docs.blocks import ROOT

FOLDERS = {"latentspace": ROOT / "client", "latentspace_server": ROOT}
PACKAGES = {
    "latentspace": ["latentspace", "latentspace_text"],
    "latentspace_server": ["embedders", "index", "services"],
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """Both wheels by distribution, built from a copy of what git knows."""
    folder = tmp_path_factory.mktemp("wheels")
    copy, dist = folder / "tree", folder / "dist"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, f"--wheel-dir={dist}", "./client", "."], cwd=copy, check=True)
    return {path.name.partition("-")[0]: zipfile.ZipFile(path) for path in dist.iterdir()}


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return message_from_string(wheel.read(name).decode())


@pytest.mark.parametrize("distribution", FOLDERS)
def test_each_module_and_each_shipped_file_is_in_its_wheel(
    wheels: dict[str, zipfile.ZipFile], distribution: str
) -> None:
    folder = FOLDERS[distribution]
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES[distribution]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    inside = set(wheels[distribution].namelist())
    assert len(tracked) > 50
    assert set(tracked) - inside == set()
    others = {name for name in inside if ".dist-info/" not in name} - set(tracked)
    assert others == set()


def test_the_server_needs_the_client_of_its_version(wheels: dict[str, zipfile.ZipFile]) -> None:
    client, server = metadata(wheels["latentspace"]), metadata(wheels["latentspace_server"])
    needs = server.get_all("Requires-Dist") or []
    assert f"latentspace[cli]=={client['Version']}" in needs
    assert client["Version"] == server["Version"]


def test_a_server_of_words_needs_no_torch(wheels: dict[str, zipfile.ZipFile]) -> None:
    needs = metadata(wheels["latentspace_server"]).get_all("Requires-Dist") or []
    light = [
        need for need in needs if "extra ==" not in need or '"words"' in need or '"cpu"' in need
    ]
    assert any(need.startswith("gensim") for need in light)
    assert not [need for need in light if "torch" in need]
