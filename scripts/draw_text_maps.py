"""Draw the maps of text of the patches of one chunk, from the outlines of words."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.text_maps import TextSettings, draw_text_maps
from unchoke.machine.commands import argument_parser, run
from unchoke.store.tables import TEXT_ROW_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the patches of the chunk")
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--smallest-word", type=float, required=True, help="narrower words are ignored, px")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    args = parser.parse_args(argv)
    rows, settings = (
        read_table(args.rows, TEXT_ROW_COLUMNS),
        TextSettings(args.size, args.per_chunk, args.smallest_word),
    )
    print(f"{draw_text_maps(args.store, args.chunk, rows, args.rows, settings)} of {len(rows)} patches")


if __name__ == "__main__":
    sys.exit(run(main))
