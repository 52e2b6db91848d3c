"""Predict the images without a label by one head, from the cached features of its encoder."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.labelling.predictions import predict_unlabelled
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest, which says what has no label")
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint of the head")
    parser.add_argument("--predictions", type=Path, required=True, help="CSV to write, a row an image")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    table = predict_unlabelled(args.stores, args.manifest, args.checkpoint, device_of(args), args.predictions)
    for name, count in table["predicted"].value_counts().sort_index().items():
        print(f"{name}: {count:,} images")


if __name__ == "__main__":
    sys.exit(run(main))
