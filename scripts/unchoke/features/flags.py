"""Flags of the commands that make a chunk, or a shard, of whole images."""

import argparse
from pathlib import Path

from unchoke.images.decoders import DECODERS, PILLOW
from unchoke.machine.commands import true_or_false
from unchoke.sources.source import add_source_flags


def add_chunk_flags(parser: argparse.ArgumentParser) -> None:
    """Which images are read, how, and where the chunk goes."""
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="CSV with the rows of each chunk")
    add_source_flags(parser)
    parser.add_argument("--jpeg-draft", type=true_or_false, required=True, help="let the JPEG decoder scale down")
    parser.add_argument("--decoder", choices=DECODERS, default=PILLOW, help="of JPEG files")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--chunks-per-shard", type=int, default=1, help="above 1, what is made is a shard of so many")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk, or of the shard")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
