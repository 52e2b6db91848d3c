"""Compare the stitched masks of one head with the true ones."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.commands import argument_parser, run
from unchoke.scores import score_masks
from unchoke.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the mask head")
    parser.add_argument("--stitched", type=Path, required=True, help="folder of its stitched masks")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits")
    parser.add_argument("--quarantine", type=Path, required=True, help="table of the images that do not count")
    parser.add_argument("--scores", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args(argv)
    manifest, bad = read_table(args.manifest, MANIFEST_COLUMNS), read_table(args.quarantine, QUARANTINE_COLUMNS)
    whole = manifest[~manifest["image_id"].isin(bad["image_id"])]
    found = score_masks(args.group, args.stitched, whole, args.scores)
    figure = found["figures"]["test"]["mean_iou"]
    print(f"mean IoU on test {figure['value']:.4f}, {'exact' if found['exact'] else found['blend'] + ' blend'}")


if __name__ == "__main__":
    sys.exit(run(main))
