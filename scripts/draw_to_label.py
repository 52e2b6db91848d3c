"""Draw the first images of the list to label, for the report."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.labelling.said import listed
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.receipts import read_json
from unchoke.report.cleaning.figures import THUMBNAIL_PX
from unchoke.report.cleaning.to_label import draw_to_label
from unchoke.report.style import png_bytes
from unchoke.report.thumbnails import thumbnails
from unchoke.sources.source import add_source_flags
from unchoke.store.tables import TO_LABEL_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--listing", type=Path, required=True, help="CSV of the images to label")
    parser.add_argument("--summary", type=Path, required=True, help="JSON: how they were chosen")
    add_source_flags(parser)
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)
    table, summary = read_table(args.listing, TO_LABEL_COLUMNS), read_json(args.summary)
    pictures = partial(thumbnails, args.kind, args.root, side_px=THUMBNAIL_PX, max_pixels=args.max_pixels)
    figure = draw_to_label(table, summary["settings"]["how"], listed(summary), pictures)
    write_atomic(args.picture, png_bytes(figure))


if __name__ == "__main__":
    sys.exit(run(main))
