"""Train one mask head on cached feature maps, or on pixels: fit on train, choose on val."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.encoder import CPU, load_encoder
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.mask_heads import train
from unchoke.sources.source import add_picture_flags
from unchoke.store.run_record import add_run_flags, write_run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, help="sealed store of feature maps; not given: the head sees pixels")
    parser.add_argument("--weights", type=Path, help="safetensors file of the store's encoder")
    parser.add_argument("--card", type=Path, help="JSON file of the weights")
    parser.add_argument("--strides", nargs="*", type=int, default=[], help="strides of the maps, px")
    parser.add_argument("--teacher", type=Path, help="sealed store of a teacher, where the head distils")
    parser.add_argument("--labels", type=Path, required=True, help="sealed store of labels")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits; patches.csv beside it")
    add_picture_flags(parser)
    parser.add_argument("--settings", type=json.loads, required=True, help="the head's section of the config, as JSON")
    add_run_flags(parser)
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device, states = device_of(args), args.checkpoint.with_suffix(".states")
    sources = train.open_sources(args.labels, args.store, args.teacher)
    patches = train.find_patches(sources, args.settings, args.manifest, args.root, args.max_pixels)
    head = train.train_mask_head(patches, sources, args.settings, device, states, clock := train.Clock())
    source = (args.weights, args.card, sources.size, [], CPU, "float32", args.strides)
    radius_px = train.receptive_radius_px(head, load_encoder(*source) if args.store else None, sources.size)
    write_run(args.run, head.seconds, device.type, epoch_seconds=clock.seconds)
    train.save(head, radius_px, patches, sources, args.group, args.checkpoint)
    shutil.rmtree(states, ignore_errors=True)
    print(f"chosen {head.choice}, sees {'all of a patch' if radius_px is None else f'{radius_px} px far'}")


if __name__ == "__main__":
    sys.exit(run(main))
