"""What commands on new pictures share: the pictures, the head that is asked, and where answers may be written."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from unchoke.cli.flags import add_config_flag, note, read_config
from unchoke.cli.results import results_of
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.names import suggestion

Answer = TypeVar("Answer")

SOME_UNREADABLE = 3
"""Exit status where there is an answer, but not for every picture."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Pictures, ``--head`` and ``-c``."""
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="image files, or folders of them")
    parser.add_argument(
        "--head", required=True, metavar="ENCODER/HEAD", help="a head of the run, as in its leaderboard"
    )
    add_config_flag(parser)


def asked_head(args: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The checkpoint of ``--head``, and the run's config; UnchokeError names the heads that are there."""
    config = read_config(args.config)
    folder = results_of(config["dataset"]["name"]) / "checkpoints"
    there = sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.glob("*/*.safetensors"))
    if args.head in there:
        return folder / f"{args.head}.safetensors", config
    raise UnchokeError(
        f"There is no trained head '{args.head}'.",
        found=", ".join(there) or "no checkpoint",
        expected="<encoder>/<head>, as the leaderboard names them",
        where=str(folder.absolute()),
        do=suggestion(args.head, there) if there else f"train it: unchoke run -c {args.config}",
    )


def listed(given: Sequence[Path]) -> dict[Path, Path]:
    """Every picture with its path below the folder that was given, or its name; those of folders in their order.

    UnchokeError where there is nothing at a path, or no image in a folder.
    """
    pictures: dict[Path, Path] = {}
    for path in given:
        pictures |= _below(path) if path.is_dir() else {_there(path): Path(path.name)}
    return pictures


def _below(folder: Path) -> dict[Path, Path]:
    from unchoke.sources.kinds.folder import list_files

    listing = list_files(folder, lambda *_: {})
    if listing.left_out:
        note(f"left out in {folder}: {endings(listing.left_out)}")
    if not listing.images:
        raise UnchokeError(
            "There are no images.", found=endings(listing.left_out) or "nothing", where=str(folder.absolute())
        )
    return {folder / image.path: Path(image.path) for image in listing.images}


def _there(path: Path) -> Path:
    if os.path.lexists(path):
        return path
    raise UnchokeError("A picture is missing.", found="nothing", where=str(path.absolute()), do="correct its path")


def endings(counts: Counter[str]) -> str:
    """``3 × .heic, 1 × .txt``, the most frequent first."""
    return ", ".join(f"{count:,} × {ending}" for ending, count in counts.most_common(8))


def files_of(pictures: dict[Path, Path], folder: Path, ending: str) -> dict[Path, Path]:
    """The file of each picture's answer; UnchokeError where two pictures would have one."""
    owner: dict[Path, Path] = {}
    for picture, below in pictures.items():
        file = (folder / below).with_suffix(ending)
        if (other := owner.setdefault(file, picture)) != picture:
            raise UnchokeError(
                "Two pictures would have one file.",
                found=f"{other} and {picture}",
                where=str(file),
                do="give a folder that both are below, or call the command for each",
            )
    return {picture: file for file, picture in owner.items()}


def answers(files: dict[Path, Path], write: Callable[[Path, Path], Answer]) -> dict[Path, Answer]:
    """What `write` gives for each picture and the file of its answer; pictures that cannot be read are named."""
    found: dict[Path, Answer] = {}
    for picture, file in files.items():
        try:
            found[picture] = write(picture, file)
        except UnreadableImageError as error:
            note(f"! {picture}: {error}")
    return found


def refuse_existing(*files: Path) -> None:
    """UnchokeError where one of the files to write is there already."""
    if there := [file for file in files if os.path.lexists(file)]:
        raise UnchokeError(
            "A file is there already, and nothing is overwritten.",
            found=f"{there[0]}" + (f", and {len(there) - 1} more" if len(there) > 1 else ""),
            do="delete it, or name another place",
        )
