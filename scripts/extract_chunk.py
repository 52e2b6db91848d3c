"""Turn the images of a chunk, or of a shard, into features: one file a pool, and one that says which could be read."""

import sys
from collections.abc import Sequence
from functools import partial

from unchoke.encoders.encoder import keep_encoder
from unchoke.encoders.lanes import lanes_of
from unchoke.encoders.plan import add_encoder_flags, add_way_flag
from unchoke.encoders.ways import in_its_way
from unchoke.features import chunk, decoded, images, pixels, shard
from unchoke.features.flags import add_chunk_flags
from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.machine.devices import device_of
from unchoke.machine.limits import planned_batch


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_encoder_flags(parser)
    add_way_flag(parser)
    parser.add_argument("--image-size", type=or_none(int), help="height and width of the encoder's input, px")
    parser.add_argument("--dtype", required=True, help="numbers to store, float16 or float32")
    parser.add_argument("--pools", nargs="+", required=True, help="poolings; last4: what the last 4 blocks are given")
    parser.add_argument("--view", required=True, help="view of every image to encode")
    add_chunk_flags(parser)
    args = parser.parse_args(argv)
    source = (args.weights, args.card, args.image_size, args.pools, device_of(args))
    micro_batch = planned_batch(args.plan)
    encoder = in_its_way(keep_encoder(*source, args.precision, args.vram_mb), args.way, micro_batch)
    decoding = (args.max_pixels, args.jpeg_draft)
    how = chunk.Extraction(args.chunk_size, micro_batch, *decoding, args.view, args.dtype, args.decoder)
    place = (args.store, args.chunk, args.rows, args.chunks_per_shard)
    lanes = lanes_of(args.plan, encoder, how.batches, args.threads)
    given = {"root": args.root, "encoder": encoder, "settings": how, "threads": args.threads, "kind": args.kind}
    found = decoded.find_decoded(*place, pixels.pixel_settings(encoder, how))
    encode = partial(images.extract_chunk, **given, decoded=found, lanes=lanes)
    shard.extract_shard(*place, encode, chunk.chunk_settings(encoder, how))


if __name__ == "__main__":
    sys.exit(run(main))
