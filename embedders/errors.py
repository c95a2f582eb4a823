"""Everything that embedders raise.

EmbedderError
├── ModelError                 the model as a whole cannot work
│   ├── ModelFormatError       its files are missing, damaged or of another format
│   └── MissingExtraError      a package is not installed; names the extra that brings it
├── OptionError                an option of the call does not fit the model
└── ItemError                  one item of a batch; the others go on
    ├── ModalityError          the model does not embed this kind of item
    ├── UnknownKeyError        the vocabulary does not have this key
    ├── ItemTooLargeError      over a limit in bytes, pixels or tokens
    └── InvalidItemError       empty, damaged or undecodable
        └── NoFaceError        an image in which no face is seen
"""

from collections.abc import Sequence


class EmbedderError(Exception):
    """Base of all errors of this package."""


class ModelError(EmbedderError):
    """The model as a whole cannot work."""


class ModelFormatError(ModelError):
    """Files are missing, damaged or of another format."""


class MissingExtraError(ModelError):
    """A package is not installed.

    Args:
        family: what needs it.
        package: the missing import.
        extra: the extra of `latentspace-server` that brings it.
    """

    def __init__(self, family: str, package: str, extra: str) -> None:
        super().__init__(
            f"{family} needs the package {package}: pip install 'latentspace-server[{extra}]'"
        )
        self.package, self.extra = package, extra


class OptionError(EmbedderError):
    """An option of the call does not fit the model; `field` is its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ItemError(EmbedderError):
    """One item of a batch failed; the others go on."""


class ModalityError(ItemError):
    """The model does not embed this kind of item."""


class UnknownKeyError(ItemError):
    """The vocabulary does not have this key; `suggestions` are close spellings, best first.

    Args:
        cure: what else the caller can do.
    """

    def __init__(self, key: str, suggestions: Sequence[str] = (), cure: str = "") -> None:
        hint = f"; close spellings: {', '.join(suggestions)}" if suggestions else ""
        hint += f"; {cure}" if cure else ""
        super().__init__(f"{key!r} is not in the vocabulary{hint}")
        self.key, self.suggestions = key, tuple(suggestions)


class ItemTooLargeError(ItemError):
    """Over a limit in bytes, pixels or tokens."""


class InvalidItemError(ItemError):
    """Empty, damaged or undecodable."""


class NoFaceError(InvalidItemError):
    """An image in which no face is seen."""
