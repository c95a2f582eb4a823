"""Generates the synchronous client from the asyncio one, or checks that it is up to date.

python scripts/generate_sync_client.py [--check]

Tokens are replaced ("await" goes, "AsyncClient" becomes "Client", ...) and ruff formats the
result. The transports differ in more than words and are written by hand.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "client" / "latentspace"
BY_HAND = {"__init__.py", "transport.py"}
FIXES = ["check", "--select", "I,UP028"]  # an asynchronous generator has no "yield from"
TOKENS = (
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\bgrpc\.aio\.", "grpc."),
    (r"^import grpc\.aio\n", ""),
    (r"\blatentspace\.aio\b", "latentspace.sync"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
)


def main() -> int:
    """Writes the files, or with --check compares and returns 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    fresh = {path.name: generated(path) for path in sources()}
    stale = [name for name in sorted(fresh) if fresh[name] != committed(name)]
    gone = sorted(present() - set(fresh) - BY_HAND)
    if not check:
        for name in stale:
            (CLIENT / "sync" / name).write_text(fresh[name], encoding="utf-8")
        for name in gone:
            (CLIENT / "sync" / name).unlink()
    for name in stale + gone:
        print(f"{'stale' if check else 'wrote'}: sync/{name}")
    return 1 if check and stale + gone else 0


def sources() -> list[Path]:
    """Files of the asyncio client that have a generated twin."""
    return sorted(path for path in (CLIENT / "aio").glob("*.py") if path.name not in BY_HAND)


def present() -> set[str]:
    """Names of the files of the synchronous client."""
    return {path.name for path in (CLIENT / "sync").glob("*.py")}


def committed(name: str) -> str:
    """A file of the synchronous client as it is now; "" where there is none."""
    path = CLIENT / "sync" / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def generated(source: Path) -> str:
    """The synchronous twin of a file, sorted and formatted."""
    text = source.read_text(encoding="utf-8")
    for pattern, replacement in TOKENS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    first, rest = text.split("\n", 1)
    note = f"# Generated from aio/{source.name} by scripts/generate_sync_client.py; edit that."
    path = str(CLIENT / "sync" / source.name)
    text = ruff([*FIXES, "--fix", "--unsafe-fixes", "--quiet"], path, f"{first}\n{note}\n{rest}")
    return ruff(["format", "--quiet"], path, text)


def ruff(arguments: list[str], path: str, text: str) -> str:
    """Text as ruff leaves it, under the settings that hold for `path`."""
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", path, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ruff failed on {path}:\n{done.stderr}{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
