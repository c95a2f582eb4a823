"""Files of test sets: never outside their folder, images read when they are needed."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import overload

from embedders.base import Item, Modality
from embedders.errors import OptionError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


def inside(folder: Path, name: str) -> Path:
    """A file of a folder, links followed.

    Raises:
        OptionError: it leads out of the folder, or is not a file.
    """
    base = folder.resolve()
    path = (base / name).resolve()
    if not path.is_relative_to(base):
        raise OptionError("source", f"{name!r} leads out of the folder {folder.name}")
    if not path.is_file():
        raise OptionError("source", f"there is no file {name!r} in {folder.name}")
    return path


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its path in it, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


class Archive:
    """Files of a folder or of a plain tar, by their path in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members = {one.name: one for one in _members(path)}

    @property
    def names(self) -> list[str]:
        """Paths of the files, ascending."""
        return sorted(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            OptionError: there is none, or it leads out of the folder.
        """
        if name not in self._members:
            raise OptionError("source", f"there is no file {name!r} in {self._path.name}")
        if self._path.is_dir():
            return inside(self._path, name).read_bytes()
        member = self._members[name]
        with self._path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)


class Images(Sequence[Item]):
    """Images of an archive as items; each is read when it is asked for."""

    def __init__(self, archive: Archive, names: Sequence[str]) -> None:
        self._archive, self._names = archive, names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> "Images": ...

    def __getitem__(self, place: int | slice) -> "Item | Images":
        """One image, or some of them."""
        if isinstance(place, slice):
            return Images(self._archive, self._names[place])
        return Item(Modality.IMAGE, self._archive.read(self._names[place]))


def is_image(name: str) -> bool:
    """Whether a name has the ending of an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _members(path: Path) -> Iterator[Member]:
    if path.is_dir():
        for file in path.rglob("*"):
            if file.is_file():
                yield Member(file.relative_to(path).as_posix(), 0, 0)
        return
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                if entry.isreg():
                    name = PurePosixPath(entry.name).as_posix()
                    yield Member(name, entry.offset_data, entry.size)
    except (tarfile.TarError, OSError) as error:
        message = f"{path.name} is neither a folder nor a plain tar: {error}"
        raise OptionError("source", message) from error
