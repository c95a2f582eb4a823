"""Which names and ids are accepted."""

import re

from index.errors import SpecError

MAX_ID_BYTES = 512
MAX_DIM = 65_536
# position is the code that files and the store keep
MODALITIES = ("", "text", "image", "key", "vector")
MODALITY_CODES = {name: code for code, name in enumerate(MODALITIES)}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_name(name: str) -> str:
    """The name, if it may name a collection: 1 to 128 letters, digits, ".", "_" or "-".

    Raises:
        SpecError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise SpecError(
            "collection",
            f"name {name[:140]!r} must be 1 to 128 letters, digits, '.', '_' or '-' "
            "and begin with a letter or digit",
        )
    return name
