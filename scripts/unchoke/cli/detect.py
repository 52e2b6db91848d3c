"""Find the words of pictures by a text head of a run, each as a text file as ICDAR has them: x1,y1,…,xk,yk a word.

A text file keeps its picture's name, and its path below a folder that was given. words.json has the same words with
their scores. Exit status: 0; 1 for an error; 2 for a wrong command line; 3 where a picture could not be read.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.cli.flags import note, subcommand
from unchoke.cli.pictures import SOME_UNREADABLE, add_flags, answers, asked_head, files_of, listed, refuse_existing

if TYPE_CHECKING:
    from unchoke.mask_heads.head import MaskHead

ALL = "words.json"


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "detect", __doc__, main)
    add_flags(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="folder to write the words to")


def main(args: argparse.Namespace) -> int:
    """Write the words; the exit status."""
    checkpoint, config = asked_head(args)
    files = files_of(listed(args.pictures), args.out, ".txt")
    refuse_existing(*files.values(), args.out / ALL)

    from unchoke.files import json_bytes, write_atomic
    from unchoke.mask_heads.head import read_mask_checkpoint

    found = answers(files, partial(_write, read_mask_checkpoint(checkpoint), config))
    words = {str(picture): each for picture, each in found.items()}
    write_atomic(args.out / ALL, json_bytes(words))
    note(f"{sum(map(len, words.values())):,} words of {len(words):,} of {len(files):,} pictures in {args.out}")
    return SOME_UNREADABLE if len(words) < len(files) else 0


def _write(head: "MaskHead", config: dict[str, Any], picture: Path, file: Path) -> list[dict[str, Any]]:
    """Write the words of a picture and give them back; UnreadableImageError where this cannot be read."""
    from unchoke.api.detect import detect
    from unchoke.files import write_atomic
    from unchoke.images.windows import open_image
    from unchoke.text.score import icdar_text

    gpu, limit = config["gpu"], config["decoding"]["max_pixels"]
    open_image(picture, limit)  # raises the reason; ``detect`` finds it open
    found = detect(picture, head, device=gpu["device"], vram_mb=gpu["vram_mb"], max_pixels=limit)
    write_atomic(file, icdar_text(box.polygon.tolist() for box in found))
    return [{"score": round(box.score, 4), "polygon": box.polygon.round(2).tolist()} for box in found]
