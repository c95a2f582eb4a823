"""Where models lie: paths, and the small models that ship with the package."""

from pathlib import Path

from embedders.errors import ModelFormatError

MINIS = Path(__file__).parent / "minis"
MODEL_FILE = "model.safetensors"
#: by family, the shipped model that was its default before the present one
FORMER_DEFAULTS = {"clip": "clip-mini"}


def shipped() -> list[str]:
    """Names of the small models that ship, ascending."""
    return sorted(path.parent.name for path in MINIS.glob(f"*/{MODEL_FILE}"))


def model_file(source: str) -> Path:
    """The file of a model: a shipped name, a file, or a folder that holds `model.safetensors`.

    Raises:
        ModelFormatError: there is none.
    """
    mini = MINIS / source / MODEL_FILE
    # "./words-mini" is the way to name a folder that is called like a shipped model
    if "/" not in source and mini.is_file():
        return mini
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / MODEL_FILE
    if not path.is_file():
        names = ", ".join(shipped()) or "none"
        raise ModelFormatError(f"there is no file {path}; shipped models: {names}")
    return path
