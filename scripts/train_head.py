"""Train one head on the cached features of one encoder: fit on train, choose on val, report once on test."""

import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.cleaning.clean import add_selection_flags, selected
from unchoke.heads.repeats import summary, train_repeat
from unchoke.heads.train import save_head, train_head
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.memory_watch import memory_watched
from unchoke.store.read import open_views
from unchoke.store.run_record import add_run_flags, write_run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    add_selection_flags(parser)
    parser.add_argument("--splits", type=Path, help="CSV of a repeat: its splits take the place of the manifest's")
    parser.add_argument("--settings", type=json.loads, required=True, help="the head's section of the config, as JSON")
    add_run_flags(parser)
    parser.add_argument("--memory-mb", type=int, required=True, help="memory that it was planned to take, MB")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device, states = device_of(args), args.checkpoint.with_suffix(".states")
    with memory_watched("train_head", args.memory_mb, "planned", binding=False):
        features, manifest = open_views(args.stores), selected(args.manifest, args.selection)
        splits = selected(args.manifest, args.selection, args.splits) if args.splits else None
        train = train_head if splits is None else partial(train_repeat, splits)
        head = train(features, manifest, args.settings, device, states=states)
    write_run(args.run, head.seconds, device.type)
    save_head(head, features, args.settings, args.group, args.checkpoint)
    shutil.rmtree(states, ignore_errors=True)
    print("".join(f"warning: {text}\n" for text in head.fitted.warnings), end="")
    print(summary(head, args.settings["choose_by"]))


if __name__ == "__main__":
    sys.exit(run(main))
