"""How commands end when they cannot go on."""

import sys
from typing import NoReturn


def fail(message: str, code: int = 1) -> NoReturn:
    """Ends with a message on standard error."""
    print(f"latentspace: {message}", file=sys.stderr)
    raise SystemExit(code)
