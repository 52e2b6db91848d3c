"""Draw the leaderboard of mask heads for the report, and write it as a table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.leaderboard import mask_leaderboard, readings_of, remarks
from unchoke.experiments.readings import count_reading
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.mask_board import COLUMNS, NOTE, draw_mask_board, table_rows
from unchoke.report.pages import table_page
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of the dataset")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--table", type=Path, required=True, help="HTML page to write")
    args = parser.parse_args(argv)
    count_reading(args.database.parent, "draw_mask_board")
    rows = list(mask_leaderboard(args.database))
    write_atomic(args.picture, png_bytes(draw_mask_board(rows)))
    note = " ".join([NOTE, *remarks(rows, readings_of(args.database))])
    write_atomic(args.table, table_page("Leaderboard", note, COLUMNS, list(table_rows(rows))))
    print(f"{len(rows)} heads: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
