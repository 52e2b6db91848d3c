"""Stitch the predicted patches of one band of an image."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.stitch import PatchReader, add_image_flags, stitch_band, stitchings_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_image_flags(parser)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions, by chunk of patches")
    parser.add_argument("--labels", type=Path, required=True, help="store of the true labels")
    parser.add_argument("--band", type=int, required=True, help="number of the band")
    args = parser.parse_args(argv)
    found = stitchings_of(args.group, args.grids, [args.image], args.patches, args.blend, args.probabilities)
    settings, _ = found[args.image]
    stitch_band(PatchReader(args.predictions, args.labels), args.store, args.band, settings)


if __name__ == "__main__":
    sys.exit(run(main))
