"""Read the labels of the patches of one chunk from their masks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.labels import MaskSettings, cut_masks
from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.manifest.patches import add_patch_flags
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_patch_flags(parser)
    parser.add_argument("--classes", type=json.loads, required=True, help="JSON: the mask values of each class")
    parser.add_argument("--ignore", type=or_none(int), help="value of pixels that do not count")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    settings = MaskSettings(args.size, args.per_chunk, args.classes, args.ignore, args.max_pixels)
    rows = read_table(args.rows, PATCH_ROW_COLUMNS)
    print(f"{cut_masks(args.store, args.chunk, rows, args.rows, args.root, settings)} of {len(rows)} patches")


if __name__ == "__main__":
    sys.exit(run(main))
