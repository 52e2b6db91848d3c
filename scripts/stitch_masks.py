"""Stitch and finish the masks of many small images; those that are there and up to date are kept."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.batch import MaskPlaces, stitch_masks
from unchoke.stitching.stitch import add_stitching_flags, stitchings_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_stitching_flags(parser)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions, by chunk of patches")
    parser.add_argument("--labels", type=Path, required=True, help="store of the true labels")
    parser.add_argument("--images", nargs="+", required=True, help="their image_id")
    parser.add_argument("--stitched", type=Path, required=True, help="folder of the stitched masks")
    parser.add_argument("--receipts", type=Path, required=True, help="folder of the receipts of finished masks")
    parser.add_argument("--batch", type=Path, required=True, help="JSON file to write last: a digest for each mask")
    args = parser.parse_args(argv)
    images = stitchings_of(args.group, args.grids, args.images, args.patches, args.blend, args.probabilities)
    made = stitch_masks(MaskPlaces(args.predictions, args.labels, args.stitched, args.receipts), images, args.batch)
    print(f"{len(made)} of {len(images)} masks were stitched; the others were there")


if __name__ == "__main__":
    sys.exit(run(main))
