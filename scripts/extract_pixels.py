"""Decode the images of a chunk, or of a shard, as an encoder sees them: one file of pixels for all that read them."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.encoders.cards import read_card
from unchoke.encoders.pixels import NO_ENCODER, Pixels
from unchoke.features import chunk, images, pixels, shard
from unchoke.machine.commands import argument_parser, or_none, run, true_or_false


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="CSV with the rows of each chunk")
    parser.add_argument("--kind", default="folder", help="kind of source, dataset.kind in the config")
    parser.add_argument("--root", type=Path, required=True, help="folder that the rows' paths are below")
    parser.add_argument("--card", type=Path, help="JSON file of the encoder's weights; none: the middle, resized")
    parser.add_argument("--image-size", type=or_none(int), help="height and width, px; none: the encoder's own")
    parser.add_argument("--max-pixels", type=int, default=chunk.Extraction.max_pixels, help="largest picture to decode")
    parser.add_argument("--jpeg-draft", type=true_or_false, default=False, help="let the JPEG decoder scale down")
    parser.add_argument("--threads", type=int, default=1, help="threads that decode")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--chunks-per-shard", type=int, default=1, help="above 1, what is made is a shard of so many")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk, or of the shard")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    data_config = read_card(args.card)["data_config"] if args.card else NO_ENCODER
    source = Pixels(args.image_size or data_config["input_size"][-1], data_config)
    how = chunk.Extraction(args.chunk_size, args.chunk_size, args.max_pixels, args.jpeg_draft, store="uint8")
    given = {"root": args.root, "encoder": source, "settings": how, "threads": args.threads, "kind": args.kind}
    encode, settings = partial(images.extract_chunk, **given), pixels.pixel_settings(source, how)
    shard.extract_shard(args.store, args.chunk, args.rows, args.chunks_per_shard, encode, settings)


if __name__ == "__main__":
    sys.exit(run(main))
