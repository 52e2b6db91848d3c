"""Predict the classes of the pixels of one chunk of patches with a trained mask head."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.manifest.patches import add_patch_flags
from unchoke.mask_heads.head import read_mask_checkpoint
from unchoke.mask_heads.predict import cached_maps, predict_patches, read_pixels
from unchoke.stitching.stitch import write_predictions
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file of the mask head")
    parser.add_argument("--store", type=Path, help="store of its feature maps; not given: the head sees pixels")
    add_patch_flags(parser)
    parser.add_argument("--probability", type=Path, required=True, help="file to write the probabilities to")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device, head = device_of(args), read_mask_checkpoint(args.checkpoint)
    if args.store:
        inputs = cached_maps(args.store, args.chunk, list(head.channels))
    else:
        rows = read_rows(args.rows, PATCH_ROW_COLUMNS)
        inputs = read_pixels(rows, args.root, head.patch_px, args.per_chunk, args.max_pixels)
    made_with = {"settings": {"device": device.type}}
    write_predictions(args.probability, predict_patches(head, inputs, device), made_with)


if __name__ == "__main__":
    sys.exit(run(main))
