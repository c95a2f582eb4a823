"""Folders of images, and single ones."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.fields import id_of
from latentspace.indexing.sources.reasons import RecordError
from latentspace.inputs import ImageInput

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

#: device and number of a folder
_Inode = tuple[int, int]


class FolderSource(Source):
    """The images below a folder, by name, those of a folder where its name would stand.

    Ids are paths relative to the folder, with forward slashes; the payload is `{"path": id}`.
    Hidden files and folders and other suffixes are passed over, links followed. The path may
    also be that of one image.

    Args:
        glob: of relative paths, case counts; `*` stands for slashes too: "2024/*", "*_crop.png".
        recursive: folders in the folder as well.
    """

    def __init__(self, path: Path, glob: str = "*", recursive: bool = True) -> None:
        self.name = str(path)
        self._path = path
        self._glob = glob
        self._recursive = recursive

    def count(self) -> int | None:
        """Images there are; lists the folders."""
        return sum(1 for _ in self._images([]))

    def __iter__(self) -> Iterator[Record | BadRecord]:
        """The images; folders that cannot be listed are told of at the end.

        Raises:
            SourceError: there are none, or a folder cannot be listed.
        """
        unlisted: list[str] = []
        found = False
        for name in self._images(unlisted):
            found = True
            yield self._record(name)
        if unlisted:
            raise SourceError(f"{self.name}: cannot be listed: {'; '.join(unlisted[:10])}")
        if not found:
            suffixes = " ".join(sorted(IMAGE_SUFFIXES))
            raise SourceError(f"{self.name}: no images: looked for {self._glob!r} with {suffixes}")

    def _record(self, name: str) -> Record | BadRecord:
        place = os.fsencode(name).decode("utf-8", "replace")
        try:
            point_id = id_of(name)
        except RecordError as error:
            return BadRecord(place, error.reason, str(error))
        path = self._path if self._path.is_file() else self._path / name
        return Record(point_id, ImageInput(path), {"path": name}, place)

    def _images(self, unlisted: list[str]) -> Iterator[str]:
        if self._path.is_file():
            if _suffix(self._path.name) in IMAGE_SUFFIXES:
                yield self._path.name
            return
        for name in _files(self._path, "", self._recursive, unlisted, ()):
            if fnmatchcase(name, self._glob):
                yield name


def _files(
    folder: Path, prefix: str, recursive: bool, unlisted: list[str], above: tuple[_Inode, ...]
) -> Iterator[str]:
    try:
        status = (folder / prefix).stat()
        here = (status.st_dev, status.st_ino)
        names = [] if here in above else _names(folder / prefix)
    except OSError as error:
        unlisted.append(f"{folder / prefix} ({error.strerror})")
        return
    for name in names:
        if not name.endswith("/"):
            yield prefix + name
        elif recursive:
            yield from _files(folder, prefix + name, recursive, unlisted, (*above, here))


def _names(folder: Path) -> list[str]:
    """Names of images, and of folders with a slash behind; not those of hidden ones."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                names.append(f"{entry.name}/")
            # a link that leads nowhere fails when it is read, and is told of
            elif _suffix(entry.name) in IMAGE_SUFFIXES and (entry.is_file() or entry.is_symlink()):
                names.append(entry.name)
    return sorted(names)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
