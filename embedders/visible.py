"""Which texts mean something: those with at least one visible character."""

import unicodedata

from embedders.errors import InvalidItemError

#: controls, formats (zero width, soft hyphen, byte order mark), separators, and marks, which are
#: visible only on a letter: accents, variation selectors
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"})
#: letters and symbols that Unicode itself draws as nothing: Hangul fillers, the blank of Braille
BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def check_visible(text: str) -> None:
    """Refuses a text without a visible character.

    Raises:
        InvalidItemError
    """
    # nearly always the first character decides
    if not any(is_visible(character) for character in text):
        raise InvalidItemError("the text is empty: it has no visible character")


def is_visible(character: str) -> bool:
    """Whether a character shows something by itself."""
    return unicodedata.category(character) not in INVISIBLE_CATEGORIES and character not in BLANKS
