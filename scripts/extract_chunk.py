"""Turn the images of a chunk, or of a shard, into features: one file a pool, and one that says which could be read.

With --pools last4, into what an encoder's last four blocks are given. Pixels are taken in the place of files where
a store beside this one has them, and they are those that the encoder sees.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.features import chunk, images, pixels, shard
from unchoke.machine.commands import argument_parser, or_none, run, true_or_false
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.limits import planned_batch


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="CSV with the rows of each chunk")
    parser.add_argument("--kind", default="folder", help="kind of source, dataset.kind in the config")
    parser.add_argument("--root", type=Path, required=True, help="folder that the rows' paths are below")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the encoder")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that says what the weights are")
    parser.add_argument("--image-size", type=or_none(int), help="height and width of what the encoder sees, px")
    parser.add_argument("--precision", default="float16", help="arithmetic on CUDA")
    parser.add_argument("--dtype", default="float16", help="numbers to store, float16 or float32")
    parser.add_argument("--pools", nargs="+", required=True, help="poolings to store, or last4: see above")
    parser.add_argument("--view", default=chunk.Extraction.view, help="view of every image to encode")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file with the micro-batch")
    parser.add_argument("--max-pixels", type=int, default=chunk.Extraction.max_pixels, help="largest picture to decode")
    parser.add_argument("--jpeg-draft", type=true_or_false, default=False, help="let the JPEG decoder scale down")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--chunks-per-shard", type=int, default=1, help="above 1, what is made is a shard of so many")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk, or of the shard")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    source = (args.weights, args.card, args.image_size, args.pools, device_of(args))
    encoder = keep_encoder(*source, args.precision, args.vram_mb)
    limits = (args.chunk_size, planned_batch(args.plan), args.max_pixels)
    how = chunk.Extraction(*limits, args.jpeg_draft, args.view, args.dtype)
    given = {"root": args.root, "encoder": encoder, "settings": how, "threads": args.threads, "kind": args.kind}
    place = (args.store, args.chunk, args.rows, args.chunks_per_shard)
    given["decoded"] = pixels.find_decoded(*place, pixels.pixel_settings(encoder, how))
    encode, settings = partial(images.extract_chunk, **given), chunk.chunk_settings(encoder, how)
    shard.extract_shard(*place, encode, settings)


if __name__ == "__main__":
    sys.exit(run(main))
