"""Pure: which first folders of a dataset are splits: decided by the folders that hold data, and by no other."""

from collections.abc import Collection, Mapping

from unchoke.errors import UnchokeError
from unchoke.sources.locations import SPLIT_NAMES
from unchoke.texts import clean_text

UNLABELLED = ("unlabelled", "unlabeled")
"""Names of a first folder, or of a folder in the place of a class, whose images have no label; in lower case."""

SYSTEM_FOLDERS = frozenset(
    {
        *("__macosx", "network trash folder", "temporary items"),  # macOS: what unzip leaves, and shared disks
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # network storage: thumbnails
        *("$recycle.bin", "recycler", "system volume information", "found.000"),  # Windows
        "Thumbs",  # thumbnails; so spelled alone, for thumbs may be a class
        *("lost+found", "__pycache__"),
        # Names that begin with a dot (.ipynb_checkpoints, .Spotlight-V100, .Trashes, ._a.jpg) are hidden, so not here.
    }
)
"""Folders that systems and programs make by themselves, in lower case. They hold no data, wherever they lie."""

EMPTY = "folder without images beside the splits"
"""Counts such folders among what a listing leaves out."""


def is_system_folder(name: str) -> bool:
    """Whether a system or a program made the folder of this name by itself."""
    return name in SYSTEM_FOLDERS or name.casefold() in SYSTEM_FOLDERS


def is_unlabelled(name: str) -> bool:
    """Whether the images in a folder of this name have no label."""
    return clean_text(name).lower() in UNLABELLED


def split_of_folder(name: str) -> str:
    """train, val or test where a folder is named as a split; else empty."""
    return SPLIT_NAMES.get(clean_text(name).lower(), "")


def split_folders(counts: Mapping[str, int], classed: Collection[str] | None, where: str) -> dict[str, str]:
    """The splits of the first folders by their names; empty where these are no splits.

    counts: files of data below each of the first folders that has any. classed: those in which folders hold images, as
    classes do; None where folders are never classes.

    Folders are splits where train is among them or two different splits are, and where one of them holds folders of
    classes. So ``train``, ``bus`` and ``car``, with images directly in each, are classes. UnchokeError where another
    folder with images lies beside splits, and where train is missing.
    """
    named = {name: split for name in counts if (split := split_of_folder(name))}
    found = set(named.values())
    others = sorted(counts.keys() - named.keys())
    meant = ("train" in found or len(found) > 1) and (classed is None or any(name in classed for name in named))
    if others and meant:
        raise _stray(others, named, counts, where)
    if meant and "train" not in found:
        raise _no_train(named, where)
    return {} if others or "train" not in found else named


def _stray(others: list[str], named: Mapping[str, str], counts: Mapping[str, int], where: str) -> UnchokeError:
    more = f", and {len(others) - 1} more such folders" if len(others) > 1 else ""
    return UnchokeError(
        f"{_listed(named)} here, and '{others[0]}' is no split.",
        found=f"{counts[others[0]]:,} files below {others[0]}/{more}",
        expected="images in folders named as splits alone (train, val, test), or in no such folder",
        where=where,
        do=f"move {others[0]}/ out of this folder; where {_names(named)} are no splits, rename them",
    )


def _no_train(named: Mapping[str, str], where: str) -> UnchokeError:
    return UnchokeError(
        f"{_listed(named)} here, and no folder named train.",
        found=_names(named),
        expected="train/ beside them",
        where=where,
        do="name the folder of train so, and put it here; where these are classes, rename them",
    )


def _names(named: Mapping[str, str]) -> str:
    """``train/, val/ and test/``, in the order of the splits."""
    order = list(SPLIT_NAMES.values())
    names = [f"{name}/" for name in sorted(named, key=lambda name: (order.index(named[name]), name))]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _listed(named: Mapping[str, str]) -> str:
    return f"{_names(named)} {'are' if len(named) > 1 else 'is'}"
