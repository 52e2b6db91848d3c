"""Decode the images of a chunk, or of a shard, as an encoder sees them: one file of pixels for all that read them."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.encoders.cards import read_card
from unchoke.encoders.pixels import NO_ENCODER, Pixels
from unchoke.features import chunk, pixels, shard
from unchoke.features.flags import add_chunk_flags
from unchoke.machine.commands import argument_parser, or_none, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--card", type=Path, help="JSON file of the encoder's weights; none: the middle, resized")
    parser.add_argument("--image-size", type=or_none(int), help="height and width, px; none: the encoder's own")
    parser.add_argument("--threads", type=int, default=1, help="threads that decode")
    add_chunk_flags(parser)
    args = parser.parse_args(argv)
    data_config = read_card(args.card)["data_config"] if args.card else NO_ENCODER
    source = Pixels(args.image_size or data_config["input_size"][-1], data_config)
    how = chunk.Extraction(
        args.chunk_size, args.chunk_size, args.max_pixels, args.jpeg_draft, store="uint8", decoder=args.decoder
    )
    given = {"root": args.root, "source": source, "settings": how, "threads": args.threads, "kind": args.kind}
    encode, settings = partial(pixels.extract_pixels, **given), pixels.pixel_settings(source, how)
    place = (args.store, args.chunk, args.rows, args.chunks_per_shard)
    shard.extract_shard(*place, encode, settings)


if __name__ == "__main__":
    sys.exit(run(main))
