"""Files of CLIP models from the hub or its local cache."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
)

from embedders.clip.options import ClipOptions
from embedders.errors import ModelFormatError
from embedders.hub import why_cache_only
from embedders.quiet import quiet_loading

#: names of checkpoints, the preferred first
CHECKPOINTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pt",
    "pytorch_model.bin",
)
TOKENIZER_PATTERNS = ("*.json", "*.txt", "*.model")
URL_CACHE = Path("~/.cache/clip")
ABSENT = (EntryNotFoundError, LocalEntryNotFoundError)
FAILED = (HfHubHTTPError, HFValidationError, OSError, ValueError)


def fetch(
    name: str, files: Sequence[str], options: ClipOptions, revision: str | None = None
) -> Path:
    """The first of `files` that the repository has.

    Raises:
        ModelFormatError: it has none, or cannot be reached.
    """
    cache_only = why_cache_only(options.local_files_only)
    for file in files:
        try:
            with quiet_loading():
                found = hf_hub_download(
                    name, file, revision=revision, local_files_only=bool(cache_only)
                )
        except ABSENT:
            continue
        except FAILED as error:
            raise _unreachable(name, error) from error
        return Path(found)
    where = f"in the local cache, and {cache_only}" if cache_only else "on the hub or in its cache"
    raise ModelFormatError(f"{name}: none of {', '.join(files)} found {where}")


def fetch_tag(tag_cfg: Mapping[str, Any], options: ClipOptions) -> Path:
    """The checkpoint of one of open_clip's pretrained tags.

    Raises:
        ModelFormatError: it cannot be reached.
    """
    place = tag_cfg.get("hf_hub", "")
    if place:
        name, _, file = place.rpartition("/")
        return fetch(name, _alternatives(file), options, options.revision)
    url = tag_cfg["url"]
    if not (URL_CACHE.expanduser() / Path(url).name).is_file():
        why = why_cache_only(options.local_files_only, url)
        if why:
            raise ModelFormatError(f"{Path(url).name} is not in {URL_CACHE}, and {why}")
    try:
        return Path(open_clip.download_pretrained(dict(tag_cfg)))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(url, error) from error


def tokenizer_folder(name: str, options: ClipOptions) -> Path:
    """The tokenizer of a repository: its small text files.

    Raises:
        ModelFormatError: it cannot be reached.
    """
    return _folder(name, TOKENIZER_PATTERNS, options)


def config_folder(name: str, options: ClipOptions) -> Path:
    """The configuration of a text tower.

    Raises:
        ModelFormatError: it cannot be reached.
    """
    return _folder(name, ("config.json",), options)


def _folder(name: str, patterns: Sequence[str], options: ClipOptions) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    cache_only = why_cache_only(options.local_files_only)
    try:
        with quiet_loading():
            found = snapshot_download(
                name, allow_patterns=list(patterns), local_files_only=bool(cache_only)
            )
    except ABSENT as error:
        if not cache_only:
            raise _unreachable(name, error) from error
        message = f"{name}: not in the local cache, and {cache_only}"
        raise ModelFormatError(message) from error
    except FAILED as error:
        raise _unreachable(name, error) from error
    return Path(found)


def _alternatives(file: str) -> Sequence[str]:
    """Names to try for a named file: its safetensors twin comes first."""
    if not file:
        return CHECKPOINTS
    stem, dot, suffix = file.rpartition(".")
    return (f"{stem}.safetensors", file) if dot and suffix in ("bin", "pt", "pth") else (file,)


def _unreachable(name: str, error: Exception) -> ModelFormatError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelFormatError(f"{name}: not to be had: {reason}")
