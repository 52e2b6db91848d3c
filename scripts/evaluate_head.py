"""Evaluate a saved head anew on cached features: figures with 95 % intervals, as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.checkpoints import evaluate_head, read_checkpoint
from unchoke.clean import selected
from unchoke.commands import argument_parser, run
from unchoke.devices import add_device_flags, device_of
from unchoke.evaluation import plain_figures
from unchoke.names import SPLITS
from unchoke.stores import open_views


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file of the head")
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--selection", type=Path, help="CSV that says which images are left out")
    parser.add_argument("--split", choices=SPLITS, default="test", help="images to evaluate on")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    head = read_checkpoint(args.checkpoint)
    manifest = selected(args.manifest, args.selection)
    figures = evaluate_head(head, open_views(args.stores), manifest, args.split, device_of(args))
    print(json.dumps(plain_figures(figures), indent=1))


if __name__ == "__main__":
    sys.exit(run(main))
