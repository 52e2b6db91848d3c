"""Put what was predicted for the patches of one band of an image together."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run, true_or_false
from unchoke.stitching.stitch import stitch_band, stitching_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the mask head")
    parser.add_argument("--predictions", type=Path, required=True, help="what was predicted, by chunk of patches")
    parser.add_argument("--labels", type=Path, required=True, help="store of the true labels")
    parser.add_argument("--grids", type=Path, required=True, help="JSON file with the grid of every image")
    parser.add_argument("--patches", type=json.loads, required=True, help="JSON: size, overlap and per_chunk")
    parser.add_argument("--blend", default="auto", help="auto, crop or gaussian")
    parser.add_argument("--probabilities", type=true_or_false, default=False, help="keep stitched probabilities")
    parser.add_argument("--image", required=True, help="image_id")
    parser.add_argument("--band", type=int, required=True, help="number of the band")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store of the image's mask")
    args = parser.parse_args(argv)
    how = (args.group, args.grids, args.image, args.patches, args.blend, args.probabilities)
    settings, _ = stitching_of(*how)
    stitch_band(args.predictions, args.labels, args.store, args.band, settings)


if __name__ == "__main__":
    sys.exit(run(main))
