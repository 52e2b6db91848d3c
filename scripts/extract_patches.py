"""Turn the patches of one chunk into feature maps: one file a stride, and one that says which could be read."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.encoders.lanes import lanes_of
from unchoke.encoders.plan import add_encoder_flags, add_way_flag
from unchoke.encoders.ways import in_its_way
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.patches import extract_patches
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.machine.limits import planned_batch
from unchoke.manifest.patches import add_patch_flags
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_patch_flags(parser)
    add_encoder_flags(parser)
    add_way_flag(parser)
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--strides", nargs="+", type=int, required=True, help="strides of the maps to store, px")
    parser.add_argument("--dtype", required=True, help="numbers to store, float16 or float32")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    source = (args.weights, args.card, args.size, [])
    micro_batch = planned_batch(args.plan)
    encoder = keep_encoder(*source, device_of(args), args.precision, args.vram_mb, args.strides)
    encoder = in_its_way(encoder, args.way, micro_batch)
    settings = Extraction(args.per_chunk, micro_batch, args.max_pixels, store=args.dtype)
    lanes = lanes_of(args.plan, encoder, settings.batches, args.threads)
    rows = read_rows(args.rows, PATCH_ROW_COLUMNS)
    maps = extract_patches(rows, args.root, encoder, settings, args.threads, lanes=lanes)
    save_chunk(args.store, args.chunk, args.rows, maps, encoder, settings)


if __name__ == "__main__":
    sys.exit(run(main))
