"""Damaging files as disks and crashes do."""

from pathlib import Path


def spoil(path: Path, seed: int, how: str) -> None:
    """Flips one bit, cuts the file, or removes it."""
    if how == "lose":
        path.unlink()
        return
    data = bytearray(path.read_bytes())
    if not data:
        return
    if how == "flip":
        data[seed % len(data)] ^= 1 << (seed % 8)
    else:
        del data[seed % len(data) :]
    path.write_bytes(data)
