"""Generates the gRPC stubs from proto/, or checks that the committed ones are up to date.

python scripts/generate_stubs.py [--check]
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
CLIENT = ROOT / "client"
PACKAGE = Path("latentspace/v1")


def main() -> int:
    """Writes the stubs, or with --check compares and returns 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    lint()
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, committed = Path(scratch) / PACKAGE, CLIENT / PACKAGE
        stale = differences(fresh, committed)
        if not check:
            committed.mkdir(parents=True, exist_ok=True)
            for path in committed.glob("*_pb2*"):
                path.unlink()
            for path in fresh.iterdir():
                shutil.copyfile(path, committed / path.name)
    for name in stale:
        print(f"{'stale' if check else 'wrote'}: {PACKAGE / name}")
    if check and stale:
        print("run `make proto` and commit the result", file=sys.stderr)
    return 1 if check and stale else 0


def generate(out: Path) -> None:
    """Runs protoc with the Python, gRPC and stub-file generators."""
    protoc(
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
    )


def lint() -> None:
    """buf's lint over an image made by protoc: no module registry is asked."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
        run([tool("buf"), "lint", str(image), "--config", str(PROTO / "buf.yaml")])
    run([tool("buf"), "format", "--diff", "--exit-code", str(PROTO)])


def protoc(*options: str) -> None:
    """protoc over our files of proto/; google/rpc beside them has its stubs in a package."""
    files = sorted(str(path) for path in (PROTO / "latentspace").rglob("*.proto"))
    run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *options, *files])


def tool(name: str) -> str:
    """Path of a program of this environment."""
    return str(Path(sys.executable).parent / name)


def run(command: list[str]) -> None:
    """Runs a command with this environment's programs on the path; ends on failure."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode:
        raise SystemExit(1)


def differences(fresh: Path, committed: Path) -> list[str]:
    """Names of generated files that are missing, superfluous or different."""
    new = {path.name for path in fresh.iterdir()}
    old = {path.name for path in committed.glob("*_pb2*")}
    same = filecmp.cmpfiles(fresh, committed, sorted(new & old), shallow=False)[0]
    return sorted((new | old) - set(same))


if __name__ == "__main__":
    sys.exit(main())
