"""Train one head on the cached features of one encoder: fit on train, choose on val, report once on test."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke import tables
from unchoke.commands import argument_parser, run
from unchoke.devices import add_device_flags, device_of
from unchoke.heads import save_head, save_run, train_head
from unchoke.stores import open_complete


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="sealed Zarr store of features")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--settings", type=json.loads, required=True, help="the head's section of the config, as JSON")
    parser.add_argument("--group", type=Path, required=True, help="Zarr group to write the results to")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write the head to")
    parser.add_argument("--run", type=Path, required=True, help="JSON file for time and environment")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device = device_of(args)
    store, manifest = open_complete(args.store), tables.read_table(args.manifest, tables.MANIFEST_COLUMNS)
    head = train_head(store, manifest, args.settings, device)
    save_run(args.run, head, device)
    save_head(head, store, args.settings, args.group, args.checkpoint)
    print(f"chosen {head.fitted.chosen}, {head.metrics}")


if __name__ == "__main__":
    sys.exit(run(main))
