"""Turn the patches of one chunk into feature maps: one file a stride, and one that says which could be read."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.patches import extract_patches
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.limits import planned_batch
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the patches of the chunk")
    parser.add_argument("--root", type=Path, required=True, help="folder that the rows' paths are below")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the encoder")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that says what the weights are")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--strides", nargs="+", type=int, required=True, help="strides of the maps to store, px")
    parser.add_argument("--precision", default="float16", help="arithmetic on CUDA")
    parser.add_argument("--dtype", default=Extraction.store, help="numbers to store, float16 or float32")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file with the micro-batch")
    parser.add_argument("--max-pixels", type=int, default=Extraction.max_pixels, help="largest picture to decode whole")
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    source = (args.weights, args.card, args.size, [])
    encoder = keep_encoder(*source, device_of(args), args.precision, args.vram_mb, args.strides)
    settings = Extraction(args.per_chunk, planned_batch(args.plan), args.max_pixels, store=args.dtype)
    maps = extract_patches(read_table(args.rows, PATCH_ROW_COLUMNS), args.root, encoder, settings, args.threads)
    save_chunk(args.store, args.chunk, args.rows, maps, encoder, settings)


if __name__ == "__main__":
    sys.exit(run(main))
