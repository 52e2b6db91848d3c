"""Fingerprint some chunks of images: hashes and measures of every image, one file an array."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.fingerprint import Fingerprinting, fingerprint_chunk, save_fingerprints
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.memory_watch import memory_watched
from unchoke.sources.source import add_source_flags
from unchoke.store.tables import ROW_COLUMNS, read_rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="CSVs with the rows of the chunks")
    add_source_flags(parser)
    parser.add_argument("--memory-mb", type=int, required=True, help="resident memory that this may take, MB")
    parser.add_argument("--chunk-size", type=int, required=True, help="images in one of the rows' CSVs")
    parser.add_argument("--chunks-per-job", type=int, required=True, help="CSVs of rows that make one chunk here")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    settings = Fingerprinting(args.chunk_size * args.chunks_per_job, args.chunks_per_job, args.max_pixels)
    with memory_watched("fingerprint_chunk", args.memory_mb, "cleaning.memory_mb"):
        rows = read_rows(args.rows[0], ROW_COLUMNS, *args.rows[1:])
        found = fingerprint_chunk(rows, args.kind, args.root, args.max_pixels, args.memory_mb)
        save_fingerprints(args.store, args.chunk, rows, args.rows, found, settings)


if __name__ == "__main__":
    sys.exit(run(main))
