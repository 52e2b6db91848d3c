"""Pure: what was found at a path, and how people name columns and arrays."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Found:
    """A source of images."""

    dataset: dict[str, Any]
    """Keys of the config's section ``dataset`` without its name; those with defaults only where they differ."""
    what: str
    """One line for people."""
    notes: list[str] = field(default_factory=list)
    """What was chosen for the user, and should be looked at."""


LABELS = ("label", "labels", "y", "class", "classes", "target", "targets", "category", "diagnosis", "species")
"""What people call classes, the likeliest first."""
GROUPS = ("group", "patient", "subject", "slide", "wsi", "case", "patient id", "subject id", "slide id", "case id")
"""What people call images that belong together."""
PATHS = ("path", "image", "file", "filename", "file name", "image path", "file path", "img", "images")
"""What people call the paths of images."""
MASKS = ("mask", "mask path", "segmentation", "masks")
"""What people call the paths of masks."""


def words(name: str) -> str:
    """A name in small letters, with one blank in the place of all that stands between its words."""
    return " ".join("".join(char if char.isalnum() else " " for char in name.lower()).split())


def first_named(columns: list[str], known: tuple[str, ...]) -> str:
    """The column whose name comes first in `known`; empty where there is none."""
    by_words = {words(column): column for column in reversed(columns)}
    return next((by_words[name] for name in known if name in by_words), "")
