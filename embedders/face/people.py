"""Photos of people for training: one folder a person, on disk or in a tar file."""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ItemError, OptionError
from embedders.training import Progress
from embedders.vectors import IndexArray

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

# a photo's bytes to its cropped face, RGB uint8 (size, size, 3)
Crop = Callable[[bytes], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class People:
    """Cropped faces of many people.

    Args:
        names: of the people, ascending.
        images: uint8 (n, size, size, 3), RGB.
        labels: intp (n,), the position of each image's person in `names`.
        unreadable: files left out, with the reason.
        sha256: of all names and files.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: IndexArray
    unreadable: tuple[str, ...]
    sha256: str

    def part(self, chosen: NDArray[np.bool_]) -> "People":
        """The people chosen by (len(names),), numbered anew."""
        keep = chosen[self.labels]
        numbers = np.cumsum(chosen) - 1
        names = tuple(name for name, kept in zip(self.names, chosen, strict=True) if kept)
        labels = np.asarray(numbers[self.labels[keep]], dtype=np.intp)
        return People(names, self.images[keep], labels, (), self.sha256)


def read_people(source: Path, crop: Crop, progress: Progress) -> People:
    """Reads FOLDER/PERSON/PHOTO, or a .tar of that layout, in the order of names.

    Raises:
        OptionError: no such folder, or no photo in it that can be read; `field` is "source".
    """
    files = _read_tar if source.is_file() else _read_folder
    if not source.exists():
        raise OptionError("source", f"{source}: no such folder or .tar file")
    digest = hashlib.sha256()
    images, people, bad = [], [], []
    for done, (name, data) in enumerate(files(source)):
        progress("read", done, 0)
        digest.update(f"{name}\n{len(data)}\n".encode() + data)
        try:
            images.append(crop(data))
            people.append(PurePosixPath(name).parent.name)
        except ItemError as error:
            bad.append(f"{name}: {error}")
    if not images:
        raise OptionError("source", f"{source}: no photo PERSON/PHOTO.jpg could be read")
    names, labels = np.unique(np.array(people), return_inverse=True)
    return People(tuple(names.tolist()), np.stack(images), labels, tuple(bad), digest.hexdigest())


def held_out(names: tuple[str, ...], share: float) -> IndexArray:
    """For each name 0 (train), 1 (calibrate) or 2 (report); intp (n,).

    By a hash of the name: a person stays on one side whatever else the folder holds.
    """
    places = np.array([_place(name) for name in names])
    return np.where(places < share / 2, 1, np.where(places < share, 2, 0)).astype(np.intp)


def _place(name: str) -> float:
    """A number in [0, 1) that hangs on the name alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64


def _read_folder(source: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(source.glob("*/*")):
        if path.suffix.lower() in SUFFIXES:
            yield path.relative_to(source).as_posix(), path.read_bytes()


def _read_tar(source: Path) -> Iterator[tuple[str, bytes]]:
    """Members in the order of their names; nothing is unpacked to disk."""
    try:
        with tarfile.open(source) as tar:
            members = [m for m in tar if m.isfile() and _is_photo(m.name)]
            for member in sorted(members, key=lambda m: m.name):
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
    except tarfile.TarError as error:
        raise OptionError("source", f"{source}: not a folder or .tar file: {error}") from error


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and path.parent.name != ""
