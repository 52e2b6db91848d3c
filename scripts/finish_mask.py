"""Make the bands of an image's mask a Zarr array that can be opened, and a PNG file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run, true_or_false
from unchoke.stitching.stitch import finish_mask, stitching_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the mask head")
    parser.add_argument("--grids", type=Path, required=True, help="JSON file with the grid of every image")
    parser.add_argument("--patches", type=json.loads, required=True, help="JSON: size, overlap and per_chunk")
    parser.add_argument("--blend", default="auto", help="auto, crop or gaussian")
    parser.add_argument("--probabilities", type=true_or_false, default=False, help="stitched probabilities are kept")
    parser.add_argument("--image", required=True, help="image_id")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store of the image's mask")
    parser.add_argument("--picture", type=Path, required=True, help="PNG file to write the mask to")
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write the counts of pixels to")
    args = parser.parse_args(argv)
    how = (args.group, args.grids, args.image, args.patches, args.blend, args.probabilities)
    settings, exact = stitching_of(*how)
    finish_mask(args.store, args.picture, args.summary, settings, exact)


if __name__ == "__main__":
    sys.exit(run(main))
