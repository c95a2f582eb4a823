"""Files of the images that a search has found."""

from dataclasses import dataclass
from pathlib import Path

from latentspace.enums import Modality
from latentspace.results.search import Match

# what was made from these has no picture, whatever its payload says
WITHOUT = (Modality.TEXT, Modality.KEY)


@dataclass(frozen=True, slots=True)
class Finder:
    """Where images lie.

    Args:
        root: their folder; nothing outside it is opened, whatever a payload says.
        path_field: payload field that holds an image's path under `root`; else its id does.
    """

    root: Path
    path_field: str

    def of_match(self, match: Match) -> Path | None:
        """The file of a hit; None where there is none."""
        if not has_picture(match):
            return None
        said = (match.payload or {}).get(self.path_field)
        return (self.under_root(said) if isinstance(said, str) else None) or self.under_root(
            match.id
        )

    def under_root(self, name: str) -> Path | None:
        """The file of this name; None where there is none."""
        try:
            root = self.root.resolve()
            path = (root / name).resolve()
            return path if path.is_relative_to(root) and path.is_file() else None
        except (OSError, ValueError):  # names may be anything: too long, with a zero byte
            return None


def has_picture(match: Match) -> bool:
    """Whether there may be an image of a hit: what was made from words has none."""
    return match.modality not in WITHOUT
