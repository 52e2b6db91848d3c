"""Compare the stitched masks of one head with the true ones."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.score import Truth, score_masks, write_scores
from unchoke.store.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the mask head")
    parser.add_argument("--stitched", type=Path, required=True, help="folder of its stitched masks")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits")
    parser.add_argument("--quarantine", type=Path, required=True, help="table of the images that do not count")
    parser.add_argument("--hd95", action="store_true", help="HD95 as well, with --labels, --grids and --patches")
    parser.add_argument("--labels", type=Path, help="store of the true labels")
    parser.add_argument("--grids", type=Path, help="JSON with the grid of every image")
    parser.add_argument("--patches", type=json.loads, help="size, overlap and per_chunk, as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args(argv)
    manifest, bad = read_table(args.manifest, MANIFEST_COLUMNS), read_table(args.quarantine, QUARANTINE_COLUMNS)
    whole = manifest[~manifest["image_id"].isin(bad["image_id"])]
    truth = Truth(args.labels, args.grids, args.patches) if args.hd95 else None
    found = score_masks(args.group, args.stitched, whole, truth)
    write_scores(args.scores, found)
    figure = found["figures"]["val"]["mean_iou"]
    print(f"mean IoU on val {figure['value']:.4f}, {'exact' if found['exact'] else found['blend'] + ' blend'}")


if __name__ == "__main__":
    sys.exit(run(main))
