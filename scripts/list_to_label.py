"""List the images to label next, from the cached features of one encoder."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.labelling.choose import list_to_label
from unchoke.labelling.said import listed
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--selection", type=Path, required=True, help="CSV of the images that heads leave out")
    parser.add_argument("--checkpoint", type=Path, help="checkpoint of the head whose margin counts")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: how and how many, of subset")
    parser.add_argument("--listing", type=Path, required=True, help="CSV to write, a row an image, the first first")
    parser.add_argument("--summary", type=Path, required=True, help="JSON to write: how it was chosen, and from what")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    tables, results = (args.manifest, args.selection), (args.listing, args.summary)
    device = device_of(args)
    print(listed(list_to_label(args.stores, *tables, args.checkpoint, args.settings, device, *results)))


if __name__ == "__main__":
    sys.exit(run(main))
