"""Draw the quarantine for the report: images by reason, and the table of them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.pages import add_page_flags, table_page
from unchoke.report.quarantine import draw_quarantine
from unchoke.report.style import png_bytes
from unchoke.store.tables import QUARANTINE_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--quarantine", type=Path, required=True, help="CSV of the images that no head may use")
    add_page_flags(parser)
    args = parser.parse_args(argv)
    listed = read_table(args.quarantine, QUARANTINE_COLUMNS)
    write_atomic(args.picture, png_bytes(draw_quarantine(listed)))
    note = "" if len(listed) else "No image is in quarantine."
    write_atomic(args.table, table_page("Quarantine", note, QUARANTINE_COLUMNS, listed.to_numpy().tolist()))
    print(f"{len(listed)} images: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
