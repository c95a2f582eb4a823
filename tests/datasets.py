"""Where data sets and weights that are not shipped lie; tests that want them skip without."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("LATENTSPACE_DATA", "/nowhere"))


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips a test where one of these files below LATENTSPACE_DATA is missing."""
    missing = [name for name in names if not (ROOT / name).exists()]
    reason = f"{', '.join(missing)} not found: set LATENTSPACE_DATA to the folder of the data sets"
    return pytest.mark.skipif(bool(missing), reason=reason)
