"""What one argument of a command line says it is: a text, a key, an image, a folder of images."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from latentspace.cli.options import Kind
from latentspace.inputs import ImageInput, Input, KeyInput, TextInput

#: what a folder is searched for
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# names of pictures too: no text is expected to end in one of these
MORE_PICTURES = (
    *(".apng", ".avif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jxl"),
    *(".pbm", ".pgm", ".pnm", ".ppm", ".svg", ".tga"),
)
URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+|data:[\w/;.+-]+,\S*", re.IGNORECASE)
SEPARATORS = tuple({"/", os.sep, os.altsep or os.sep})
BEGINNINGS = tuple(start + end for start in ("", "~", ".", "..") for end in SEPARATORS)
AS_TEXT = "to mean the text itself, pass --as text"
NO_URLS = "URLs are not fetched: download it and pass the file"

#: an input, or what is wrong with the argument
Reading = Input | str


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads arguments for a model; what is written as a path is never taken for a text.

    Args:
        words: what an argument without a file is; None where it must be an image.
        images: arguments may be images.
        guesses: nobody has said what the arguments are.
    """

    words: Kind | None
    images: bool
    guesses: bool

    def read(self, argument: str) -> Iterator[tuple[str, Reading]]:
        """Names and readings of an argument: one, or one for each image of a folder."""
        if self.words is None:
            yield from images_of(argument)
        elif self.images and (is_url(argument) or names_path(argument)):
            for name, reading in images_of(argument):
                yield name, f"{reading}; {AS_TEXT}" if isinstance(reading, str) else reading
        elif self.words is Kind.KEY:
            yield argument, KeyInput(argument)
        else:
            problem = mistaken_for_text(argument) if self.guesses else ""
            yield argument, problem or TextInput(argument)

    def read_one(self, argument: str) -> Reading:
        """The reading of an argument that stands for one thing."""
        if self.images and os.path.isdir(os.path.expanduser(argument)):
            return "it is a folder; name one image" + (f", or {AS_TEXT}" if self.words else "")
        return next(reading for _, reading in self.read(argument))


def images_of(argument: str) -> Iterator[tuple[str, Reading]]:
    """The image of a path; of a folder all images in it, at any depth, by name."""
    path = os.path.expanduser(argument)
    if is_url(argument):
        yield argument, NO_URLS
    elif not os.path.isdir(path):
        yield argument, unreadable(path) or ImageInput(path)
    else:
        yield from _images_below(argument, path)


def _images_below(argument: str, folder: str) -> Iterator[tuple[str, Reading]]:
    closed: list[OSError] = []
    pictures = sorted(
        os.path.join(at, name)
        for at, _, names in os.walk(folder, onerror=closed.append)
        for name in names
        if name.lower().endswith(PICTURES)
    )
    for error in closed:
        yield str(error.filename), f"the folder cannot be read: {error.strerror}"
    if not pictures and not closed:
        yield argument, f"the folder has no images: none of {', '.join(PICTURES)}"
    for picture in pictures:
        yield picture, unreadable(picture) or ImageInput(picture)


def unreadable(path: str) -> str:
    """Why a file cannot be read; "" where it can."""
    if not os.path.lexists(path):
        return "there is no such file"
    if not os.path.exists(path):
        return "the link leads nowhere"
    if os.path.isdir(path):
        return "it is a folder"
    if not os.path.isfile(path):
        return "it is neither a file nor a folder"
    return "" if os.access(path, os.R_OK) else "it may not be read: permission denied"


def is_url(argument: str) -> bool:
    """Whether it is the address of something elsewhere, and nothing but that."""
    return URL.fullmatch(argument) is not None


def names_path(argument: str) -> bool:
    """Whether it is there as a file or folder, or is written as the name of one."""
    separated = any(separator in argument for separator in SEPARATORS)
    return (
        separated
        or argument.startswith("~")
        or argument.lower().endswith(PICTURES + MORE_PICTURES)
        or os.path.lexists(argument)
    )


def mistaken_for_text(argument: str) -> str:
    """Why an argument is no text, for a model that takes no images; "" where it may be one.

    Stricter than `names_path`: a word may be the name of a folder by chance, and "and/or" is a
    text.
    """
    if is_url(argument):
        return f"{NO_URLS}; {AS_TEXT}"
    picture = argument.lower().endswith(PICTURES + MORE_PICTURES)
    if picture and not re.search(r"\s", argument):
        return f"the model takes no images; {AS_TEXT}"
    if not argument.startswith(BEGINNINGS) and not _is_file_with_suffix(argument):
        return ""
    path = os.path.expanduser(argument)
    if not os.path.lexists(path):
        return f"it is written as a path, and {unreadable(path)}; {AS_TEXT}"
    return f"it is a path, not a text: --file reads the lines of a file; {AS_TEXT}"


def _is_file_with_suffix(argument: str) -> bool:
    return os.path.splitext(argument)[1] != "" and os.path.isfile(argument)
