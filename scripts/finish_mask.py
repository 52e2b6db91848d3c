"""Make the bands of an image's mask a Zarr array that can be opened, and a PNG file."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.stitch import add_image_flags, finish_mask, stitchings_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_image_flags(parser)
    parser.add_argument("--picture", type=Path, required=True, help="PNG file to write the mask to")
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write the counts of pixels to")
    args = parser.parse_args(argv)
    found = stitchings_of(args.group, args.grids, [args.image], args.patches, args.blend, args.probabilities)
    settings, exact = found[args.image]
    finish_mask(args.store, args.picture, args.summary, settings, exact)


if __name__ == "__main__":
    sys.exit(run(main))
