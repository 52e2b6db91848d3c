"""Write the masks of pictures by a mask head of a run, each as a PNG whose pixels are numbers of classes.

A mask keeps its picture's name, and its path below a folder that was given. Exit status: 0; 1 for an error; 2 for a
wrong command line; 3 where a picture could not be read.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.cli.flags import note, subcommand
from unchoke.cli.pictures import SOME_UNREADABLE, add_flags, answers, asked_head, files_of, listed, refuse_existing

if TYPE_CHECKING:
    from unchoke.mask_heads.head import MaskHead


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "segment", __doc__, main)
    add_flags(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="folder to write the masks to")


def main(args: argparse.Namespace) -> int:
    """Write the masks; the exit status."""
    checkpoint, config = asked_head(args)
    masks = files_of(listed(args.pictures), args.out, ".png")
    refuse_existing(*masks.values())

    from unchoke.mask_heads.head import read_mask_checkpoint

    head = read_mask_checkpoint(checkpoint)
    written = answers(masks, partial(_write, head, config))
    note(f"{len(written):,} of {len(masks):,} masks in {args.out}")
    note("pixels: " + ", ".join(f"{number} {name}" for number, name in enumerate(head.classes)))
    return SOME_UNREADABLE if len(written) < len(masks) else 0


def _write(head: "MaskHead", config: dict[str, Any], picture: Path, mask: Path) -> None:
    """The mask of a picture; UnreadableImageError where this cannot be read."""
    import numpy as np

    from unchoke.api.segment import segment
    from unchoke.files import write_atomic
    from unchoke.images.png import palette_png
    from unchoke.images.windows import open_image
    from unchoke.stitching.stitch import mask_palette

    gpu, limit = config["gpu"], config["decoding"]["max_pixels"]
    open_image(picture, limit)  # raises the reason; ``segment`` finds it open
    mask_HW = np.asarray(segment(picture, head, device=gpu["device"], vram_mb=gpu["vram_mb"], max_pixels=limit))
    write_atomic(mask, palette_png([mask_HW], len(mask_HW), mask_HW.shape[1], mask_palette(len(head.classes))))
