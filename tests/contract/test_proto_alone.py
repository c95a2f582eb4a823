"""proto/ stands alone: protoc and buf need nothing beside it, and other languages get packages."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import status_pb2

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A copy of proto/ with nothing around it."""
    return Path(shutil.copytree(ROOT / "proto", tmp_path / "proto"))


def ours(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.glob("latentspace/**/*.proto"))]


def compiled(folder: Path) -> dict[str, FileDescriptorProto]:
    """What protoc makes of the files of a folder, by file name."""
    out = folder.parent / "set.binpb"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{folder}",
            "--include_imports",
            f"--descriptor_set_out={out}",
            *ours(folder),
        ],
        check=True,
    )
    files = FileDescriptorSet.FromString(out.read_bytes()).file
    return {file.name: file for file in files}


def test_protoc_needs_nothing_but_the_folder(alone: Path) -> None:
    files = compiled(alone)
    assert set(ours(alone)) <= set(files)
    others = {name for name in files if not name.startswith(("latentspace/", "google/protobuf/"))}
    assert others == {"google/rpc/status.proto"}


def test_every_file_names_its_package_in_other_languages(alone: Path) -> None:
    for name, file in compiled(alone).items():
        if name.startswith("latentspace/"):
            options = file.options
            assert options.go_package == "latentspace/v1;latentspacev1", name
            assert (options.java_package, options.java_multiple_files) == ("latentspace.v1", True)
            assert options.csharp_namespace == "Latentspace.V1", name


def test_our_status_is_that_of_the_libraries(alone: Path) -> None:
    """The fields of google.rpc.Status, and the packages where languages keep it."""
    own = compiled(alone)["google/rpc/status.proto"]
    library = FileDescriptorProto.FromString(status_pb2.DESCRIPTOR.serialized_pb)
    assert own.package == library.package
    (message,), (expected,) = own.message_type, library.message_type
    shape = [(field.name, field.number, field.type, field.label) for field in message.field]
    assert shape == [(f.name, f.number, f.type, f.label) for f in expected.field]
    for option in ("go_package", "java_package", "java_outer_classname", "java_multiple_files"):
        assert getattr(own.options, option) == getattr(library.options, option)


@pytest.mark.parametrize("verb", ["build", "lint"])
def test_buf_needs_nothing_but_the_folder(alone: Path, verb: str) -> None:
    done = subprocess.run(
        [BUF, verb, alone], capture_output=True, text=True, check=False, cwd=alone.parent
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("language", "file", "line"),
    [
        ("java", "latentspace/v1/SearchRequest.java", "package latentspace.v1;"),
        ("csharp", "SearchService.cs", "namespace Latentspace.V1 {"),
    ],
)
def test_stubs_of_other_languages_have_their_package(
    alone: Path, language: str, file: str, line: str
) -> None:
    if (protoc := shutil.which("protoc")) is None:
        pytest.skip("protoc is not installed: apt-get install protobuf-compiler")
    out = alone.parent / language
    out.mkdir()
    subprocess.run([protoc, f"-I{alone}", f"--{language}_out={out}", *ours(alone)], check=True)
    assert line in (out / file).read_text()
