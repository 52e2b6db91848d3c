"""Turn the images of a chunk, or of a shard, into features: one file a pool, and one that says which could be read."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.encoders.plan import add_encoder_flags
from unchoke.features import chunk, images, shard
from unchoke.machine.commands import argument_parser, or_none, run, true_or_false
from unchoke.machine.devices import device_of
from unchoke.machine.limits import planned_batch
from unchoke.sources.source import add_source_flags


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="CSV with the rows of each chunk")
    add_source_flags(parser)
    add_encoder_flags(parser)
    parser.add_argument("--image-size", type=or_none(int), help="height and width of the encoder's input, px")
    parser.add_argument("--dtype", required=True, help="numbers to store, float16 or float32")
    parser.add_argument("--pools", nargs="+", required=True, help="poolings to store")
    parser.add_argument("--view", required=True, help="view of every image to encode")
    parser.add_argument("--jpeg-draft", type=true_or_false, required=True, help="let the JPEG decoder scale down")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--chunks-per-shard", type=int, default=1, help="above 1, what is made is a shard of so many")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk, or of the shard")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    source = (args.weights, args.card, args.image_size, args.pools, device_of(args))
    encoder, micro_batch = keep_encoder(*source, args.precision, args.vram_mb), planned_batch(args.plan)
    how = chunk.Extraction(args.chunk_size, micro_batch, args.max_pixels, args.jpeg_draft, args.view, args.dtype)
    given = {"root": args.root, "encoder": encoder, "settings": how, "threads": args.threads, "kind": args.kind}
    encode, settings = partial(images.extract_chunk, **given), chunk.chunk_settings(encoder, how)
    shard.extract_shard(args.store, args.chunk, args.rows, args.chunks_per_shard, encode, settings)


if __name__ == "__main__":
    sys.exit(run(main))
