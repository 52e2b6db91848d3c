"""Evaluate a saved head anew on cached features: figures with 95 % intervals, as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.clean import add_selection_flags, selected
from unchoke.experiments.readings import count_reading
from unchoke.heads.checkpoint import evaluate_head, read_checkpoint
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.metrics.evaluation import plain_figures
from unchoke.names import SPLITS
from unchoke.store.read import open_views


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file of the head")
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    add_selection_flags(parser)
    parser.add_argument("--split", choices=SPLITS, default="test", help="images to evaluate on")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    head = read_checkpoint(args.checkpoint)
    manifest = selected(args.manifest, args.selection)
    if args.split == "test":
        count_reading(args.manifest.parent, "evaluate_head")
    figures = evaluate_head(head, open_views(args.stores), manifest, args.split, device_of(args))
    print(json.dumps(plain_figures(figures), indent=1))


if __name__ == "__main__":
    sys.exit(run(main))
