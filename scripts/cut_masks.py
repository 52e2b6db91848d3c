"""Read the labels of the patches of one chunk from their masks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.labels import MaskSettings, cut_masks
from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the patches of the chunk and their masks")
    parser.add_argument("--root", type=Path, required=True, help="folder that the rows' paths are below")
    parser.add_argument("--classes", type=json.loads, required=True, help="JSON: the mask values of each class")
    parser.add_argument("--ignore", type=or_none(int), help="value of pixels that do not count")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--max-pixels", type=int, required=True, help="largest mask to decode whole")
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    settings = MaskSettings(args.size, args.per_chunk, args.classes, args.ignore, args.max_pixels)
    rows = read_table(args.rows, PATCH_ROW_COLUMNS)
    print(f"{cut_masks(args.store, args.chunk, rows, args.rows, args.root, settings)} of {len(rows)} patches")


if __name__ == "__main__":
    sys.exit(run(main))
