"""Train one head on the cached features of one encoder: fit on train, choose on val, report once on test."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke import tables
from unchoke.commands import argument_parser, run
from unchoke.devices import add_device_flags, device_of
from unchoke.evaluation import Bootstrap
from unchoke.heads import save_head, save_run, train_head
from unchoke.stores import open_views


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--settings", type=json.loads, required=True, help="the head's section of the config, as JSON")
    parser.add_argument("--resamples", type=int, default=Bootstrap.resamples, help="bootstrap resamples")
    parser.add_argument("--seed", type=int, default=Bootstrap.seed, help="seed of the bootstrap")
    parser.add_argument("--group", type=Path, required=True, help="Zarr group to write the results to")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write the head to")
    parser.add_argument("--run", type=Path, required=True, help="JSON file for time and environment")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device, drafts = device_of(args), args.checkpoint.with_suffix(".drafts")
    features, manifest = open_views(args.stores), tables.read_table(args.manifest, tables.MANIFEST_COLUMNS)
    bootstrap = Bootstrap(args.resamples, args.seed)
    head = train_head(features, manifest, args.settings, device, bootstrap=bootstrap, drafts=drafts)
    save_run(args.run, head, device)
    save_head(head, features, args.settings, args.group, args.checkpoint)
    shutil.rmtree(drafts, ignore_errors=True)
    print(f"chosen {head.fitted.chosen}, test accuracy {head.figures['test']['accuracy'].value:.4f}")


if __name__ == "__main__":
    sys.exit(run(main))
